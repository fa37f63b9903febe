import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, matches } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const STAGES = ["parse", "embed"] as const;
const NOTHING = { processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
const EMPTY = { parse: NOTHING, embed: NOTHING };

/** Registers a request with the open root `a` in the stage `parse`. */
async function pending(t: Bench) {
  const requests = new RequestWaitTracker(t.coordinator(), { stages: STAGES });
  const id = t.id("request");
  await requests.registerRequest(id);
  await requests.registerRoot(id, "parse", "a");
  return { requests, id };
}

/** A request's work that passes from stage to stage, with its messages in any order. */
export const handingOn: readonly ConformanceCase[] = [
  aCase("work that is handed on leaves no gap in which the request is complete", {}, async (t) => {
    const { requests, id } = await pending(t);
    const next = [
      { stage: "embed", rootId: "a1" },
      { stage: "embed", rootId: "a2" },
    ] as const;
    const seen: string[] = [];
    const wait = requests.waitForRequest(id, { timeoutMs: 20_000 }).then(() => void seen.push("complete"));
    wait.catch(() => {});
    equal((await requests.markDone(id, "parse", "a", { next })).state, "pending", "handed on");
    equal((await requests.markDone(id, "embed", "a1")).state, "pending", "one of them");
    equal(seen, [], "what the waiter was told so far");
    equal((await requests.markDone(id, "embed", "a2")).state, "complete", "both of them");
    await wait;
    const again = await requests.markDone(id, "parse", "a", { next: [{ stage: "embed", rootId: "a3" }] });
    equal(again, { verdict: "duplicate", state: "complete" }, "a copy of the message that hands on otherwise");
  }),
  aCase(
    "work that is done before it was handed on completes nothing, and counts once it is",
    { row: 33 },
    async (t) => {
      const { requests, id } = await pending(t);
      const seen: string[] = [];
      const wait = requests.waitForRequest(id, { timeoutMs: 20_000 }).then((status) => {
        seen.push("complete");
        return status;
      });
      wait.catch(() => {});
      const early = { verdict: "early", state: "pending" };
      equal(await requests.markDone(id, "embed", "a1", 5), early, "a child, before its parent announces it");
      equal(await requests.markFailed(id, "embed", "a2", "broken"), early, "another, which failed");
      equal(await requests.seal(id), { verdict: "accepted", state: "pending" }, "the seal");
      const next = ["a1", "a2", "a3"].map((rootId) => ({ stage: "embed", rootId }) as const);
      const handed = await requests.markDone(id, "parse", "a", { next });
      equal(handed, { verdict: "accepted", state: "pending" }, "the parent, one of whose children is open");
      equal((await requests.markDone(id, "embed", "a1", 5)).verdict, "duplicate", "the early one, again");
      matches(await requests.progress(id, 0, { timeoutMs: 5_000 }), { state: "pending", open: 1 }, "what is open");
      equal(seen, [], "what the waiter was told so far");
      equal((await requests.markDone(id, "embed", "a3")).state, "complete", "the last child");
      const end = await wait;
      matches(end?.status.parse, { processed: 1, errorCount: 0 }, "the parent's counts");
      matches(
        end?.status.embed,
        { processed: 6, errorCount: 1, errors: [{ message: "broken" }] },
        "the children's counts",
      );
    },
  ),
  aCase("a parent that hands on to work that is done already completes its request", { row: 33 }, async (t) => {
    const { requests, id } = await pending(t);
    equal((await requests.markDone(id, "embed", "a")).state, "pending", "the only child");
    const next = [{ stage: "embed", rootId: "a" }] as const;
    equal(
      await requests.markDone(id, "parse", "a", { next }),
      { verdict: "accepted", state: "complete" },
      "the parent",
    );
    matches(
      (await requests.waitForRequest(id, { timeoutMs: 0 }))?.status.embed,
      { processed: 1 },
      "what a waiter is told",
    );
  }),
  aCase("a sealed request takes only roots that a registered root hands on", { row: 66 }, async (t) => {
    const { requests, id } = await pending(t);
    await requests.registerRoot(id, "parse", "b");
    await requests.seal(id);
    const sealed = { verdict: "sealed", state: "pending" };
    equal(await requests.registerRoot(id, "parse", "c"), sealed, "a root of a caller that knows the id");
    equal(await requests.registerRoot(id, "embed", ["a", "b"]), sealed, "roots of another stage");
    equal((await requests.registerRoot(id, "parse", ["a", "b"])).verdict, "duplicate", "those that are there");
    const stray = { processed: 7, next: [{ stage: "embed", rootId: "stray" }] } as const;
    equal(
      await requests.markDone(id, "parse", "stranger", stray),
      { verdict: "early", state: "pending" },
      "a stray mark",
    );
    const next = [{ stage: "embed", rootId: "a" }] as const;
    equal(
      await requests.markDone(id, "parse", "a", { next }),
      { verdict: "accepted", state: "pending" },
      "a handing on",
    );
    equal((await requests.markDone(id, "embed", "a")).state, "pending", "what was handed on");
    equal((await requests.markDone(id, "parse", "b")).state, "complete", "the last root");
    equal(
      await requests.registerRoot(id, "parse", "c"),
      { verdict: "late", state: "complete" },
      "a root after the end",
    );
    matches(
      await requests.queueStatus(id),
      { parse: { processed: 2, requeueCount: 0, errorCount: 0, errors: [] } },
      "the counts",
    );
  }),
  aCase("a mark that comes before its root hands on when the root is registered", { row: 66 }, async (t) => {
    const { requests, id } = await pending(t);
    const next = [
      { stage: "embed", rootId: "b1" },
      { stage: "embed", rootId: "b2" },
    ] as const;
    equal(
      await requests.markDone(id, "parse", "b", { processed: 3, next }),
      { verdict: "early", state: "pending" },
      "it",
    );
    await requests.markFailed(id, "embed", "b1", "broken");
    matches(
      await requests.progress(id, 0, { timeoutMs: 5_000 }),
      { open: 1, status: EMPTY },
      "before the registration",
    );
    equal((await requests.registerRoot(id, "parse", "b")).verdict, "accepted", "its root");
    matches(await requests.progress(id, 0, { timeoutMs: 5_000 }), { state: "pending", open: 2 }, "what is open");
    await requests.markDone(id, "parse", "a");
    equal((await requests.markDone(id, "embed", "b2")).state, "complete", "the last");
    const status = await requests.queueStatus(id);
    matches(status?.parse, { processed: 4, errorCount: 0 }, "the counts of the first stage");
    matches(status?.embed, { processed: 1, errorCount: 1, errors: [{ message: "broken" }] }, "those of the second");
  }),
];
