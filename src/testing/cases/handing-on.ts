import { equal, matches } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { held, NOTHING, pendingRequest } from "./requests.js";

/** A request's work that passes from stage to stage, with its messages in any order. */
export const handingOn: readonly ConformanceCase[] = [
  aCase("work that is handed on leaves no gap in which the request is complete", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const next = [{ stage: "embed", taskIds: ["a1", "a2"] }] as const;
    const seen: string[] = [];
    const wait = held(requests.wait(id, { timeoutMs: 20_000 }).then(() => void seen.push("complete")));
    equal((await requests.ack(id, "parse", "a", { next })).state, "pending", "handed on");
    equal((await requests.ack(id, "embed", "a1")).state, "pending", "one of them");
    equal(seen, [], "what the waiter was told so far");
    equal((await requests.ack(id, "embed", "a2")).state, "complete", "both of them");
    await wait;
    const again = await requests.ack(id, "parse", "a", { next: [{ stage: "embed", taskIds: "a3" }] });
    equal(again, { verdict: "duplicate", state: "complete" }, "a copy of the message that hands on otherwise");
  }),
  aCase(
    "work that is done before it was handed on completes nothing, and counts once it is",
    { row: 33 },
    async (t) => {
      const { requests, id } = await pendingRequest(t, ["a"]);
      const seen: string[] = [];
      const wait = held(
        requests.wait(id, { timeoutMs: 20_000 }).then((status) => {
          seen.push("complete");
          return status;
        }),
      );
      const early = { verdict: "early", state: "pending" };
      equal(await requests.ack(id, "embed", "a1", { processed: 5 }), early, "a task, before it is handed on");
      equal(await requests.fail(id, "embed", "a2", "broken"), early, "another, which failed");
      matches(await requests.seal(id), { state: "pending", final: false }, "the seal");
      const next = ["a1", "a2", "a3"].map((taskIds) => ({ stage: "embed", taskIds }) as const);
      const handed = await requests.ack(id, "parse", "a", { next });
      equal(handed, { verdict: "accepted", state: "pending" }, "the ack that hands on, with one task left open");
      equal((await requests.ack(id, "embed", "a1", { processed: 5 })).verdict, "duplicate", "the early one, again");
      matches(await requests.status(id), { state: "pending", open: 1 }, "what is open");
      equal(seen, [], "what the waiter was told so far");
      equal((await requests.ack(id, "embed", "a3")).state, "complete", "the last task");
      const end = await wait;
      matches(end?.stages.parse, { processed: 1, errorCount: 0 }, "the counts of the first stage");
      const errors = [{ taskId: "a2", message: "broken" }];
      matches(end?.stages.embed, { total: 3, processed: 6, errorCount: 1, errors }, "the counts of the second");
    },
  ),
  aCase("an ack that hands on to work that is done already completes its request", { row: 33 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    equal((await requests.ack(id, "embed", "a")).state, "pending", "the only task that follows");
    const next = [{ stage: "embed", taskIds: "a" }] as const;
    const handed = await requests.ack(id, "parse", "a", { next });
    equal(handed, { verdict: "accepted", state: "complete" }, "the ack that hands on");
    matches((await requests.wait(id, { timeoutMs: 0 }))?.stages.embed, { processed: 1 }, "what the waiter receives");
  }),
  aCase("a sealed request takes only tasks that an announced task hands on", { row: 66 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    await requests.add(id, "parse", "b");
    await requests.seal(id);
    const sealed = { outcome: "sealed", added: [] };
    matches(await requests.add(id, "parse", "c"), sealed, "a task of a caller that knows the id");
    matches(await requests.add(id, "embed", ["a", "b"]), sealed, "tasks of another stage");
    const stray = { processed: 7, next: [{ stage: "embed", taskIds: "stray" }] } as const;
    equal(await requests.ack(id, "parse", "stranger", stray), { verdict: "early", state: "pending" }, "a stray ack");
    equal((await requests.ack(id, "embed", "stray")).verdict, "early", "what the stray ack hands on to");
    const next = [{ stage: "embed", taskIds: "a" }] as const;
    const handed = await requests.ack(id, "parse", "a", { next });
    equal(handed, { verdict: "accepted", state: "pending" }, "a handing on");
    equal((await requests.ack(id, "embed", "a")).state, "pending", "what was handed on");
    equal((await requests.ack(id, "parse", "b")).state, "complete", "the last task");
    matches(await requests.add(id, "parse", "c"), { outcome: "late", added: [] }, "a task after the end");
    const end = await requests.status(id);
    matches(end?.stages.parse, { ...NOTHING, total: 2, processed: 2 }, "the counts of the first stage");
    matches(end?.stages.embed, { ...NOTHING, total: 1, processed: 1 }, "the counts of the second");
  }),
  aCase("an ack that comes before its task hands on when the task is announced", { row: 66 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const next = [{ stage: "embed", taskIds: ["b1", "b2"] }] as const;
    const early = { verdict: "early", state: "pending" };
    equal(await requests.ack(id, "parse", "b", { processed: 3, next }), early, "the ack");
    await requests.fail(id, "embed", "b1", "broken");
    const before = await requests.status(id);
    matches(before, { open: 1 }, "before the announcement");
    matches(before?.stages, { parse: { ...NOTHING, total: 1, open: 1 }, embed: NOTHING }, "its counts");
    equal((await requests.add(id, "parse", "b")).outcome, "added", "its task");
    matches(await requests.status(id), { state: "pending", open: 2 }, "what is open");
    await requests.ack(id, "parse", "a");
    equal((await requests.ack(id, "embed", "b2")).state, "complete", "the last");
    const end = await requests.status(id);
    matches(end?.stages.parse, { processed: 4, errorCount: 0 }, "the counts of the first stage");
    const errors = [{ taskId: "b1", message: "broken" }];
    matches(end?.stages.embed, { processed: 1, errorCount: 1, errors }, "those of the second");
  }),
];
