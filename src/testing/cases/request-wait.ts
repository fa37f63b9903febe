import type { Coordinator } from "../../coordinator.js";
import { joinParts } from "../../runtime/placement.js";
import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { ODD_IDS } from "./primitives.js";
import { held, NOTHING, pendingRequest, requestTracker } from "./requests.js";
import { waitOut } from "./wait-out.js";

/** Runs a request to its end, and returns every result on the way. */
async function lifeOf(t: Bench, on: Coordinator, id: string): Promise<unknown[]> {
  const requests = requestTracker(t, { on });
  const told: unknown[] = [];
  told.push((await requests.register(id)).state);
  told.push(await requests.ack(id, "parse", "a", { processed: 2 }));
  const { outcome, added } = await requests.add(id, "parse", ["a", "b", "c"]);
  told.push({ outcome, added });
  told.push(await requests.count(id, "embed", { processed: 5, requeued: 1 }));
  told.push(await requests.count(id, "parse", { error: "on the way" }));
  told.push(await requests.fail(id, "parse", "b", "broken"));
  told.push(await requests.ack(id, "parse", "c", { next: [{ stage: "embed", taskIds: "c" }] }));
  told.push(await requests.ack(id, "embed", "c", { processed: 7 }));
  told.push((await requests.seal(id))?.stages);
  told.push((await requests.add(id, "parse", "d")).outcome);
  const end = present(await requests.wait(id, { timeoutMs: 10_000 }), "the end");
  told.push({ state: end.state, final: end.final, stages: end.stages });
  return told;
}

export const requestWait: readonly ConformanceCase[] = [
  aCase("an unknown request is unknown everywhere, and nothing makes it but its registration", {}, async (t) => {
    const [requests, id] = [requestTracker(t), t.id("request")];
    equal(await requests.add(id, "parse", "a"), { outcome: "unknown", added: [], status: null }, "add");
    equal(await requests.ack(id, "parse", "a"), { verdict: "early", state: "unknown" }, "ack");
    equal(await requests.fail(id, "parse", "b", "no"), { verdict: "early", state: "unknown" }, "fail");
    equal(await requests.count(id, "parse", { error: "no" }), { verdict: "unknown", state: "unknown" }, "count");
    equal(await requests.seal(id), null, "seal");
    equal(await requests.cancel(id, "enough"), null, "cancel");
    equal(await requests.remove(id), false, "remove");
    equal(await requests.status(id), null, "status");
    equal(await requests.tasks(id), null, "tasks");
    equal(await requests.wait(id, { timeoutMs: 5_000 }), null, "wait");
    equal(await requests.newer(id, "", { timeoutMs: 5_000 }), null, "newer");
    for await (const _ of requests.progress(id)) isTrue(false, "progress yields a status");
  }),
  aCase("a request is complete once every announced task was acked, by whichever instance", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b"]);
    equal((await requests.status(id))?.state, "pending", "the state");
    const other = requestTracker(t);
    equal(await other.ack(id, "parse", "b"), { verdict: "accepted", state: "pending" }, "the first ack");
    const last = { verdict: "accepted", state: "complete" };
    equal(await other.ack(id, "parse", "a", { processed: 3 }), last, "the last ack");
    const stages = { parse: { ...NOTHING, total: 2, processed: 4 }, embed: NOTHING };
    const complete = { requestId: id, state: "complete", final: false, open: 0, stages };
    matches(await requests.status(id), complete, "the status");
    matches(await requests.wait(id, { timeoutMs: 0 }), complete, "what the waiter receives");
  }),
  aCase("a wait resolves by the ack of another instance that completes the request", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b"]);
    const wait = held(requests.wait(id, { timeoutMs: 20_000 }));
    await settle();
    await requestTracker(t).ack(id, "parse", "a");
    await settle();
    await requestTracker(t).fail(id, "parse", "b", "broken");
    matches(present(await wait, "the status").stages.parse, { processed: 1, errorCount: 1 }, "the counts");
  }),
  aCase("a task in one stage is another than its namesake in the next", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    await requests.add(id, "embed", "a");
    equal((await requests.ack(id, "embed", "a")).state, "pending", "one of the two");
    equal((await requests.ack(id, "parse", "a")).state, "complete", "both");
  }),
  aCase("another task opens a complete request again, until it is sealed", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    equal((await requests.ack(id, "parse", "a")).state, "complete", "after the first task");
    const added = await requests.add(id, "parse", "b");
    matches(added, { outcome: "added", added: ["b"] }, "another task");
    matches(added.status, { state: "pending", final: false }, "the request");
    matches(await requests.seal(id), { state: "pending", final: false }, "the seal");
    equal((await requests.ack(id, "parse", "b")).state, "complete", "the last task");
    const late = { verdict: "late", state: "complete" };
    matches(await requests.add(id, "parse", ["a", "d"]), { outcome: "late", added: [] }, "a task after the end");
    equal(await requests.ack(id, "parse", "d"), { verdict: "late", state: "complete" }, "its ack");
    equal(await requests.count(id, "parse", { error: "no" }), late, "an error");
    const end = present(await requests.status(id), "the status");
    matches(end, { state: "complete", final: true }, "the end");
    matches(end.stages.parse, { processed: 2, errorCount: 0 }, "the counts");
  }),
  aCase("registering again changes nothing, before the end and after it", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b"]);
    await requests.ack(id, "parse", "a");
    const before = present(await requests.status(id), "the request");
    equal(await requests.register(id), before, "the request");
    matches(await requests.add(id, "parse", ["a", "b"]), { outcome: "added", added: [] }, "its tasks");
    equal((await requests.ack(id, "parse", "b")).state, "complete", "the end");
    await requests.seal(id);
    const again = await requests.register(id);
    matches(again, { state: "complete", final: true, generation: before.generation }, "after the end");
  }),
  aCase("lost replies and repeated messages change no answer", {}, async (t) => {
    const plain = await lifeOf(t, t.coordinator(), t.id("plain"));
    equal(await lifeOf(t, losingReplies(t.coordinator()), t.id("lost")), plain, "lost replies");
    equal(await lifeOf(t, duplicating(t.coordinator()), t.id("twice")), plain, "doubled messages");
  }),
  aCase("each newer version is returned once, and the end at once", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b"]);
    const first = present(await requests.newer(id, "", { timeoutMs: 5_000 }), "the first");
    matches(first, { state: "pending", open: 2 }, "the first");
    const none = held(requests.newer(id, first.version, { timeoutMs: 50 }));
    await settle();
    await t.advance(60);
    await rejects(() => none, "wait_timeout", "nothing new");
    const news = held(requests.newer(id, first.version, { timeoutMs: 20_000 }));
    await settle();
    await requests.ack(id, "parse", "a");
    await t.advance(1_100);
    const second = present(await news, "the second");
    matches(second, { state: "pending", open: 1 }, "the second");
    isTrue(second.version !== first.version, "the version changes");
    await requests.ack(id, "parse", "b");
    const last = present(await requests.newer(id, second.version, { timeoutMs: 0 }), "the last");
    matches(last, { state: "complete", open: 0, final: false }, "the last");
    await rejects(() => requests.newer(id, last.version, { timeoutMs: 0 }), "wait_timeout", "while it may go on");
    await requests.seal(id);
    const end = present(await requests.newer(id, last.version, { timeoutMs: 0 }), "the end");
    matches(end, { state: "complete", final: true }, "the end");
    equal(await requests.newer(id, end.version, { timeoutMs: 0 }), end, "the end, asked for again");
  }),
  aCase("a failed task is never seen without its error", { row: 15 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const told: unknown[] = [];
    const wait = held(requests.wait(id, { timeoutMs: 20_000 })).then((end) => void told.push(end?.stages));
    await requests.fail(id, "parse", "a", "the model is gone");
    told.push((await requestTracker(t).status(id))?.stages);
    await wait;
    const errors = [{ taskId: "a", message: "the model is gone" }];
    const stages = { parse: { ...NOTHING, total: 1, errorCount: 1, errors }, embed: NOTHING };
    equal(told, [stages, stages], "what both receive");
    equal((await requests.ack(id, "parse", "a")).verdict, "duplicate", "a later success of the same task");
    equal((await requests.status(id))?.stages.parse.processed, 0, "what it counted");
  }),
  aCase(
    "a request whose time is over with work pending has timed out and is then unknown, never complete",
    { row: 16, needs: ["clock"] },
    async (t) => {
      const { requests, id } = await pendingRequest(t, ["a"], 60);
      await t.advance(30_000);
      await requests.count(id, "parse", { processed: 1 });
      await t.advance(45_000);
      equal((await requests.status(id))?.state, "pending", "while it is written to");
      await t.advance(61_000);
      const end = { state: "timed_out", reason: "silent", open: 1, final: true };
      matches(await requests.status(id), end, "its status");
      matches(await requests.wait(id, { timeoutMs: 5_000 }), end, "what the waiter receives");
      equal(await requests.ack(id, "parse", "a"), { verdict: "late", state: "timed_out" }, "a late ack");
      await t.advance(90_000);
      equal(await requests.status(id), null, "its status, after its TTL");
      equal(await requests.wait(id, { timeoutMs: 5_000 }), null, "what the waiter receives then");
    },
  ),
  aCase("an ack that comes before its task is announced counts", { row: 18 }, async (t) => {
    const { requests, id } = await pendingRequest(t, []);
    equal(await requests.ack(id, "parse", "a"), { verdict: "early", state: "pending" }, "the ack");
    const wait = held(requests.wait(id, { timeoutMs: 20_000 }));
    const added = await requests.add(id, "parse", "a");
    matches(added, { outcome: "added", added: [] }, "the task, which needs no work");
    equal(added.status?.state, "complete", "the request");
    equal((await wait)?.stages.parse.processed, 1, "what the waiter receives");
    equal((await requests.ack(id, "parse", "a")).verdict, "duplicate", "the ack, again");
  }),
  aCase("an ack that comes before its request is registered counts", { row: 18 }, async (t) => {
    const [requests, id] = [requestTracker(t), t.id("request")];
    equal(await requests.ack(id, "parse", "a", { processed: 3 }), { verdict: "early", state: "unknown" }, "the ack");
    await requests.register(id);
    equal((await requests.add(id, "parse", ["a", "b"])).added, ["b"], "the tasks that need work");
    matches((await requests.status(id))?.stages.parse, { total: 2, open: 1, processed: 3 }, "the counts");
  }),
  aCase("a request is pending until its first task, or its seal", { row: 19 }, async (t) => {
    const { requests, id } = await pendingRequest(t, []);
    matches(await requests.wait(id, { timeoutMs: 0 }), { state: "pending", open: 0 }, "before any task");
    equal((await requests.status(id))?.state, "pending", "before any task");
    const stages = { parse: NOTHING, embed: NOTHING };
    const end = { state: "complete", final: true, stages };
    matches(await requests.seal(id), end, "the seal");
    matches(await requests.wait(id, { timeoutMs: 0 }), end, "a waiter");
  }),
  aCase("a task that is done twice counts once", { row: 20 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a", "b"]);
    await requests.ack(id, "parse", "a", { processed: 2 });
    const second = await requestTracker(t).ack(id, "parse", "a", { processed: 2 });
    equal(second, { verdict: "duplicate", state: "pending" }, "the second");
    const lossy = requestTracker(t, { on: losingReplies(t.coordinator()) });
    equal((await lossy.ack(id, "parse", "b")).verdict, "accepted", "one whose reply was lost");
    equal((await requests.status(id))?.stages.parse.processed, 3, "the counts");
  }),
  aCase("a wait for a request that stays pending ends at its time, and by its signal", { row: 22 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const waited = await waitOut(t, 2_000, (options) => requests.wait(id, options));
    const stages = { parse: { ...NOTHING, total: 1, open: 1 }, embed: NOTHING };
    matches(waited, { state: "pending", open: 1, stages }, "its time");
    const controller = new AbortController();
    const reason = new Error("gone");
    const aborted = held(requests.wait(id, { timeoutMs: 20_000, signal: controller.signal }));
    controller.abort(reason);
    equal(await aborted.catch((error: unknown) => error === reason), true, "the signal's reason");
  }),
  aCase("of many errors the first twenty are shown, each cut, and all are counted", { row: 23 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const long = `${"x".repeat(255)}é, and what does not fit`;
    await requests.count(id, "embed", { error: long });
    for (let i = 0; i < 15; i++) {
      await Promise.all(Array.from({ length: 10 }, (_, k) => requests.count(id, "parse", { error: `${i}-${k}` })));
    }
    const { stages } = present(await requests.status(id), "the status");
    equal(stages.embed.errors, [{ taskId: null, message: "x".repeat(255) }], "a long one");
    equal(stages.parse.errorCount, 150, "their count");
    equal(stages.parse.errors.length, 19, "how many are shown");
    const whole = `${"x".repeat(1_023)}é`;
    await requests.fail(id, "parse", "a", whole);
    const [failed] = present(await requests.tasks(id, { state: "failed" }), "the failed tasks").items;
    equal(failed, { taskId: "a", stage: "parse", state: "failed", error: "x".repeat(1_023) }, "a failed task");
  }),
  aCase("ids of any text are kept apart", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ODD_IDS);
    for (const task of ODD_IDS) equal((await requests.ack(id, "parse", task)).verdict, "accepted", task);
    equal((await requests.status(id))?.state, "complete", "the state");
  }),
  aCase("requests of two scopes share nothing, whatever scope and id hold", { row: 40 }, async (t) => {
    const requests = requestTracker(t);
    const tag = t.id("user");
    // Plain concatenation would make the second and third equal, and the fourth and fifth.
    const pairs = [
      [tag, "1"],
      [`${tag}:1`, "2"],
      [tag, "1:2"],
      [`${tag}|a`, "b"],
      [tag, "a|b"],
      ["", `${tag}1`],
    ] as const;
    for (const [i, pair] of pairs.entries()) {
      const id = joinParts(pair);
      equal((await requests.register(id)).stages.parse, NOTHING, `request ${i}`);
      equal((await requests.add(id, "parse", "a")).added, ["a"], `the task of request ${i}`);
      if (i === 0) await requests.fail(id, "parse", "a", "a secret of the first user");
    }
    for (const [i, pair] of pairs.entries()) {
      const { stages } = present(await requests.status(joinParts(pair)), `request ${i}`);
      equal(stages.parse.errorCount, i === 0 ? 1 : 0, `what request ${i} tells`);
    }
  }),
  aCase("a step that fails in its middle writes nothing", { row: 42 }, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const before = present(await requests.status(id), "the request");
    // The ack has counted, and the first list is announced. Then the second list fails.
    const next = { lists: [JSON.stringify(["embed", "b"]), "not JSON"] };
    const broken = { op: "op", tasks: [{ stage: "parse", id: "a", processed: 1 }], earlyTtlMs: 0, next };
    const outcome = await t
      .coordinator()
      .run("request.ack", id, broken)
      .then(
        () => "resolved",
        (error: { name: string }) => error.name,
      );
    equal(outcome, "CoordinationError", "the call");
    equal(await requests.status(id), before, "the request");
    equal((await requests.ack(id, "parse", "a")).verdict, "accepted", "the same ack, whole");
  }),
  aCase("bad input is refused with the field's name, and stores nothing", {}, async (t) => {
    const { requests, id } = await pendingRequest(t, ["a"]);
    const refused = (work: () => Promise<unknown>, field: string) => rejects(work, "invalid_input", field, field);
    const next = (stage: string, taskIds: string) => ({ next: [{ stage, taskIds }] as never });
    await refused(() => requests.register(""), "requestId");
    await refused(() => requests.register("x".repeat(257)), "requestId");
    await refused(() => requests.register(id, { caller: "" }), "caller");
    await refused(() => requests.register(id, { onEnd: () => {} }), "plain functions");
    await refused(() => requests.add(id, "nowhere" as never, "b"), "stage");
    await refused(() => requests.add(id, "parse", []), "taskIds");
    await refused(() => requests.add(id, "parse", ["b", ""]), "taskIds[1]");
    await refused(() => requests.ack(id, "parse", ""), "task");
    await refused(() => requests.ack(id, "parse", "a", { processed: -1 }), "processed");
    await refused(() => requests.ack(id, "parse", "a", { processed: 0.5 }), "processed");
    await refused(() => requests.ack(id, "parse", "a", next("x", "b")), "next[0].stage");
    await refused(() => requests.ack(id, "parse", "a", next("embed", "\ud800")), "next[0]");
    await refused(() => requests.fail(id, "parse", "a", 7 as never), "message");
    await refused(() => requests.count(id, "parse", { processed: Number.NaN }), "processed");
    await refused(() => requests.count(id, "parse", {}), "counts");
    await refused(() => requests.wait(id, { timeoutMs: -1 }), "timeoutMs");
    await refused(() => requests.newer(id, "new" as never, { timeoutMs: 0 }), "after");
    matches(await requests.status(id), { state: "pending", open: 1 }, "the request");
    for (const stages of [undefined, [], [""], ["a", "a"], ["x".repeat(65)]]) {
      const make = async () => new RequestWaitTracker(t.coordinator(), { stages: stages as never });
      await refused(make, "stages");
    }
    await refused(async () => requestTracker(t, { ttlSec: 0.5 }), "ttlSec");
  }),
];
