import type { Coordinator } from "../../coordinator.js";
import { joinParts } from "../../runtime/placement.js";
import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { ODD_IDS } from "./primitives.js";

const STAGES = ["parse", "embed"] as const;
type Stage = (typeof STAGES)[number];

const NOTHING = { processed: 0, requeueCount: 0, errorCount: 0, errors: [] };
const CLOCKED = { needs: ["clock"] } as const;

function tracker(t: Bench, ttlSec = 3_600, on: Coordinator = t.coordinator()): RequestWaitTracker<Stage> {
  return new RequestWaitTracker(on, { stages: STAGES, ttlSec });
}

/** A request with open roots, and its tracker. */
async function pending(t: Bench, roots: readonly string[], ttlSec?: number) {
  const [requests, id] = [tracker(t, ttlSec), t.id("request")];
  await requests.registerRequest(id);
  if (roots.length > 0) await requests.registerRoot(id, "parse", roots);
  return { requests, id };
}

/** Prevents an unhandled rejection while the case does something else. */
function held<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

/** Runs a request to its end, and returns every result on the way. */
async function lifeOf(t: Bench, on: Coordinator, id: string): Promise<unknown[]> {
  const requests = tracker(t, 3_600, on);
  const told: unknown[] = [];
  told.push(await requests.registerRequest(id));
  told.push(await requests.markDone(id, "parse", "a", 2));
  told.push(await requests.registerRoot(id, "parse", ["a", "b", "c"]));
  told.push(await requests.recordProcessed(id, "embed", 5));
  told.push(await requests.recordRequeue(id, "embed"));
  told.push(await requests.recordError(id, "parse", "on the way"));
  told.push(await requests.markFailed(id, "parse", "b", "broken"));
  told.push(await requests.markDone(id, "parse", "c", { next: [{ stage: "embed", rootId: "c" }] }));
  told.push(await requests.markDone(id, "embed", "c", 7));
  told.push(await requests.seal(id));
  told.push((await requests.registerRoot(id, "parse", "d")).verdict);
  told.push((await requests.waitForRequest(id, { timeoutMs: 10_000 }))?.status);
  return told;
}

export const requestWait: readonly ConformanceCase[] = [
  aCase("an unknown request is unknown everywhere, and nothing makes it but its registration", {}, async (t) => {
    const [requests, id] = [tracker(t), t.id("request")];
    const unknown = { verdict: "unknown", state: "unknown" };
    equal(await requests.registerRoot(id, "parse", "a"), unknown, "registerRoot");
    equal(await requests.markDone(id, "parse", "a"), unknown, "markDone");
    equal(await requests.markFailed(id, "parse", "a", "no"), unknown, "markFailed");
    equal(await requests.recordError(id, "parse", "no"), unknown, "recordError");
    equal(await requests.seal(id), unknown, "seal");
    equal(await requests.cleanup(id), false, "cleanup");
    equal(await requests.queueStatus(id), null, "queueStatus");
    equal(await requests.progress(id, 0, { timeoutMs: 5_000 }), null, "progress");
    equal(await requests.state(id), "unknown", "state");
  }),
  aCase("a request is complete once every registered root was marked, by whichever instance", {}, async (t) => {
    const { requests, id } = await pending(t, ["a", "b"]);
    equal(await requests.state(id), "pending", "the state");
    equal(await tracker(t).markDone(id, "parse", "b"), { verdict: "accepted", state: "pending" }, "the first mark");
    equal(await tracker(t).markDone(id, "parse", "a", 3), { verdict: "accepted", state: "complete" }, "the last");
    equal(await requests.state(id), "complete", "the state");
    const status = { parse: { ...NOTHING, processed: 4 }, embed: NOTHING };
    equal(await requests.queueStatus(id), status, "the counts");
    matches(
      await requests.waitForRequest(id, { timeoutMs: 0 }),
      { state: "complete", status },
      "what a waiter is told",
    );
  }),
  aCase("a wait resolves by the mark of another instance that completes the request", {}, async (t) => {
    const { requests, id } = await pending(t, ["a", "b"]);
    const wait = held(requests.waitForRequest(id, { timeoutMs: 20_000 }));
    await settle();
    await tracker(t).markDone(id, "parse", "a");
    await settle();
    await tracker(t).markFailed(id, "parse", "b", "broken");
    matches(present(await wait, "the status").status.parse, { processed: 1, errorCount: 1 }, "the counts");
  }),
  aCase("a root in one stage is another than its namesake in the next", {}, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    await requests.registerRoot(id, "embed", "a");
    equal((await requests.markDone(id, "embed", "a")).state, "pending", "one of the two");
    equal((await requests.markDone(id, "parse", "a")).state, "complete", "both");
  }),
  aCase("another root opens a complete request again, until it is sealed", {}, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    equal((await requests.markDone(id, "parse", "a")).state, "complete", "after the first root");
    equal(await requests.registerRoot(id, "parse", "b"), { verdict: "accepted", state: "pending" }, "another root");
    equal(await requests.seal(id), { verdict: "accepted", state: "pending" }, "the seal");
    equal((await requests.markDone(id, "parse", "b")).state, "complete", "the last root");
    const late = { verdict: "late", state: "complete" };
    equal(await requests.registerRoot(id, "parse", ["a", "d"]), late, "a root after the end");
    const again = { verdict: "duplicate", state: "complete" };
    equal(await requests.registerRoot(id, "parse", ["a", "b"]), again, "a copy of a message that registered them");
    equal(await requests.markDone(id, "parse", "d"), late, "its mark");
    equal(await requests.recordError(id, "parse", "no"), late, "an error");
    matches(present(await requests.queueStatus(id), "the status").parse, { processed: 2, errorCount: 0 }, "the counts");
  }),
  aCase("registering again changes nothing, before the end and after it", {}, async (t) => {
    const { requests, id } = await pending(t, ["a", "b"]);
    await requests.markDone(id, "parse", "a");
    equal(await requests.registerRequest(id), { verdict: "duplicate", state: "pending" }, "the request");
    equal((await requests.registerRoot(id, "parse", ["a", "b"])).verdict, "duplicate", "its roots");
    equal((await requests.markDone(id, "parse", "b")).state, "complete", "the end");
    equal(await requests.registerRequest(id), { verdict: "duplicate", state: "complete" }, "after the end");
  }),
  aCase("lost replies and repeated messages change no answer", {}, async (t) => {
    const plain = await lifeOf(t, t.coordinator(), t.id("plain"));
    equal(await lifeOf(t, losingReplies(t.coordinator()), t.id("lost")), plain, "lost replies");
    equal(await lifeOf(t, duplicating(t.coordinator()), t.id("twice")), plain, "doubled messages");
  }),
  aCase("progress returns each newer version once, and the end at once", {}, async (t) => {
    const { requests, id } = await pending(t, ["a", "b"]);
    const first = present(await requests.progress(id, 0, { timeoutMs: 5_000 }), "the first");
    matches(first, { state: "pending", open: 2 }, "the first");
    const none = held(requests.progress(id, first.version, { timeoutMs: 50 }));
    await settle();
    await t.advance(60);
    await rejects(() => none, "wait_timeout", "nothing new");
    const news = held(requests.progress(id, first.version, { timeoutMs: 20_000 }));
    await settle();
    await requests.markDone(id, "parse", "a");
    await t.advance(1_100);
    const second = present(await news, "the second");
    matches(second, { state: "pending", open: 1 }, "the second");
    isTrue(second.version > first.version, "the version grows");
    await requests.markDone(id, "parse", "b");
    const last = present(await requests.progress(id, second.version, { timeoutMs: 0 }), "the last");
    matches(last, { state: "complete", open: 0 }, "the last");
    matches(await requests.progress(id, last.version, { timeoutMs: 0 }), { state: "complete" }, "asked again");
  }),
  aCase("a failed root is never seen without its error", { row: 15 }, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    const told: unknown[] = [];
    const wait = held(requests.waitForRequest(id, { timeoutMs: 20_000 })).then((end) => void told.push(end?.status));
    await requests.markFailed(id, "parse", "a", "the model is gone");
    told.push(await tracker(t).queueStatus(id));
    await wait;
    const failed = { ...NOTHING, errorCount: 1, errors: [{ message: "the model is gone" }] };
    equal(
      told,
      [
        { parse: failed, embed: NOTHING },
        { parse: failed, embed: NOTHING },
      ],
      "what both are told",
    );
    equal((await requests.markDone(id, "parse", "a")).verdict, "duplicate", "a later success of the same root");
    equal((await requests.queueStatus(id))?.parse.processed, 0, "what it counted");
  }),
  aCase(
    "a request whose time is over with work pending is unknown, never complete",
    { row: 16, ...CLOCKED },
    async (t) => {
      const { requests, id } = await pending(t, ["a"], 60);
      await t.advance(30_000);
      await requests.recordProcessed(id, "parse");
      await t.advance(45_000);
      equal(await requests.state(id), "pending", "while it is written to");
      await t.advance(61_000);
      equal(await requests.state(id), "unknown", "its state");
      equal(await requests.queueStatus(id), null, "its counts");
      equal(await requests.waitForRequest(id, { timeoutMs: 5_000 }), null, "what a waiter is told");
      equal((await requests.markDone(id, "parse", "a")).verdict, "unknown", "a late mark");
    },
  ),
  aCase("a second waiter gets the same answer after the first has cleaned up", { row: 17 }, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    await requests.markFailed(id, "parse", "a", "broken");
    const first = await requests.waitForRequest(id, { timeoutMs: 5_000 });
    equal(await requests.cleanup(id), true, "the cleanup");
    equal(await tracker(t).waitForRequest(id, { timeoutMs: 5_000 }), first, "the second waiter");
    matches(await tracker(t).progress(id, 0, { timeoutMs: 5_000 }), { state: "complete" }, "who follows its progress");
    equal(await requests.state(id), "unknown", "the state");
    equal(await requests.queueStatus(id), null, "the counts");
    equal(await requests.cleanup(id), false, "another cleanup");
    equal((await requests.registerRequest(id)).verdict, "accepted", "the id, used again");
    equal((await requests.queueStatus(id))?.parse, NOTHING, "its counts");
  }),
  aCase("calls that come late from an earlier use of the id change nothing in the next", {}, async (t) => {
    const { id } = await pending(t, []);
    const on = t.coordinator();
    const root = { op: crypto.randomUUID(), stage: "parse", roots: ["a"] };
    const mark = { op: crypto.randomUUID(), stage: "parse", root: "a", processed: 1 };
    const cleanup = { op: crypto.randomUUID() };
    const calls = [
      () => on.run("request.roots", id, root),
      () => on.run("request.mark", id, mark),
      () => on.run("request.cleanup", id, cleanup),
    ];
    for (const call of calls) await call();
    const requests = tracker(t);
    await requests.registerRequest(id);
    await requests.registerRoot(id, "parse", ["b"]);
    for (const call of calls) await call();
    matches(await requests.progress(id, 0, { timeoutMs: 5_000 }), { state: "pending", open: 1 }, "the next use");
    equal((await requests.markDone(id, "parse", "b")).state, "complete", "its own root");
    equal((await requests.queueStatus(id))?.parse.processed, 1, "its own counts");
  }),
  aCase("waiters of a pending request that is cleaned up get null", {}, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    const wait = held(tracker(t).waitForRequest(id, { timeoutMs: 20_000 }));
    await settle();
    equal(await requests.cleanup(id), true, "the cleanup");
    equal(await wait, null, "the waiter");
  }),
  aCase("row 74: a request that its caller abandons is complete at once, with an error", { row: 74 }, async (t) => {
    const [requests, id, caller] = [tracker(t), t.id("request"), crypto.randomUUID()];
    await requests.registerRequest(id, { caller });
    await requests.registerRoot(id, "parse", ["a", "b"]);
    await requests.markDone(id, "parse", "a");
    const wait = held(tracker(t).waitForRequest(id, { timeoutMs: 20_000 }));
    await settle();
    const failure = { caller, stage: "embed", message: "the handler failed" } as const;
    const lossy = tracker(t, 3_600, losingReplies(t.coordinator()));
    equal(await lossy.abandon(id, failure), { verdict: "accepted", state: "complete" }, "a call whose reply was lost");
    const counts = {
      parse: { ...NOTHING, processed: 1 },
      embed: { ...NOTHING, errorCount: 1, errors: [{ message: "the handler failed" }] },
    };
    matches(await wait, { state: "complete", status: counts }, "the waiter");
    equal(await requests.queueStatus(id), counts, "the status");
    matches(await requests.progress(id, 0, { timeoutMs: 5_000 }), { state: "complete", open: 0 }, "the progress");
    equal((await requests.markDone(id, "parse", "b")).verdict, "late", "a late mark");
    equal((await requests.registerRoot(id, "parse", "c")).verdict, "late", "a late root");
    equal(await requests.registerRequest(id), { verdict: "accepted", state: "pending" }, "the id, used again");
    equal((await requests.registerRoot(id, "parse", ["a", "b"])).verdict, "accepted", "its roots");
    equal((await requests.markDone(id, "parse", "a")).state, "pending", "the first of them");
    equal((await requests.markDone(id, "parse", "b")).state, "complete", "the second");
    equal((await requests.queueStatus(id))?.embed, NOTHING, "its counts");
  }),
  aCase("row 74: a request goes on while another caller has it, or once it is sealed", { row: 74 }, async (t) => {
    const { requests, id } = await pending(t, []);
    const failure = { stage: "parse", message: "the handler failed" } as const;
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    for (const caller of [first, second]) await requests.registerRequest(id, { caller });
    await requests.registerRoot(id, "parse", "a");
    for (const caller of [first, second, first]) {
      const told = await requests.abandon(id, { ...failure, caller });
      equal(told, { verdict: "duplicate", state: "pending" }, "another caller has it");
    }
    const shared = t.id("another request");
    for (const caller of [first, second]) await requests.registerRequest(shared, { caller });
    await requests.registerRoot(shared, "parse", "a");
    await requests.seal(shared);
    for (const caller of [first, second]) {
      equal((await requests.abandon(shared, { ...failure, caller })).verdict, "late", "it is sealed");
    }
    equal((await requests.markDone(shared, "parse", "a")).state, "complete", "its root");
    equal((await requests.queueStatus(shared))?.parse, { ...NOTHING, processed: 1 }, "its counts");
    equal((await requests.abandon(t.id("none"), { ...failure, caller: first })).verdict, "unknown", "an unknown one");
  }),
  aCase("a mark that comes before its root is registered counts", { row: 18 }, async (t) => {
    const { requests, id } = await pending(t, []);
    equal(await requests.markDone(id, "parse", "a"), { verdict: "early", state: "pending" }, "the mark");
    const wait = held(requests.waitForRequest(id, { timeoutMs: 20_000 }));
    equal(await requests.registerRoot(id, "parse", "a"), { verdict: "accepted", state: "complete" }, "the root");
    equal((await wait)?.status.parse.processed, 1, "what the waiter is told");
    equal((await requests.markDone(id, "parse", "a")).verdict, "duplicate", "the mark, again");
  }),
  aCase("a request is pending until its first root, or its seal", { row: 19 }, async (t) => {
    const { requests, id } = await pending(t, []);
    matches(await requests.waitForRequest(id, { timeoutMs: 0 }), { state: "pending", open: 0 }, "before any root");
    equal(await requests.state(id), "pending", "before any root");
    const { result, status } = await requests.sealAndStatus(id);
    equal(result, { verdict: "accepted", state: "complete" }, "the seal");
    equal(status, { parse: NOTHING, embed: NOTHING }, "what it tells");
    matches(await requests.waitForRequest(id, { timeoutMs: 0 }), { state: "complete", status }, "a waiter");
  }),
  aCase("a root that is done twice counts once", { row: 20 }, async (t) => {
    const { requests, id } = await pending(t, ["a", "b"]);
    await requests.markDone(id, "parse", "a", 2);
    equal(await tracker(t).markDone(id, "parse", "a", 2), { verdict: "duplicate", state: "pending" }, "the second");
    const lossy = tracker(t, 3_600, losingReplies(t.coordinator()));
    equal((await lossy.markDone(id, "parse", "b")).verdict, "accepted", "one whose reply was lost");
    equal((await requests.queueStatus(id))?.parse.processed, 3, "the counts");
  }),
  aCase("a mark that races the cleanup brings nothing back", { row: 21 }, async (t) => {
    const { requests, id } = await pending(t, ["a", "b", "c"]);
    const marks = ["a", "b", "c"].map((root) => tracker(t).markDone(id, "parse", root));
    const [found] = await Promise.all([requests.cleanup(id), ...marks]);
    equal(found, true, "the cleanup");
    equal((await requests.markDone(id, "parse", "a")).verdict, "unknown", "a mark afterwards");
    equal((await requests.recordError(id, "parse", "no")).verdict, "unknown", "an error afterwards");
    equal(await requests.state(id), "unknown", "the state");
  }),
  aCase("a wait for a request that stays pending ends at its time, and by its signal", { row: 22 }, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    const wait = held(requests.waitForRequest(id, { timeoutMs: 2_000 }));
    await t.advance(2_000);
    const told = await wait;
    matches(told, { state: "pending", open: 1, status: { parse: NOTHING, embed: NOTHING } }, "its time");
    const controller = new AbortController();
    const reason = new Error("gone");
    const aborted = held(requests.waitForRequest(id, { timeoutMs: 20_000, signal: controller.signal }));
    controller.abort(reason);
    equal(await aborted.catch((error: unknown) => error === reason), true, "the signal's reason");
  }),
  aCase("of many errors the first hundred are kept, each cut, and all are counted", { row: 23 }, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    const long = `${"x".repeat(1_023)}é, and what does not fit`;
    await requests.recordError(id, "embed", long);
    for (let i = 0; i < 15; i++) {
      await Promise.all(Array.from({ length: 10 }, (_, k) => requests.recordError(id, "parse", `${i}-${k}`)));
    }
    const status = present(await requests.queueStatus(id), "the status");
    equal(status.embed.errors, [{ message: "x".repeat(1_023) }], "a long one");
    equal(status.parse.errorCount, 150, "their count");
    equal(status.parse.errors.length, 99, "how many are kept");
  }),
  aCase("ids of any text are kept apart", {}, async (t) => {
    const { requests, id } = await pending(t, ODD_IDS);
    for (const root of ODD_IDS) equal((await requests.markDone(id, "parse", root)).verdict, "accepted", root);
    equal(await requests.state(id), "complete", "the state");
  }),
  aCase("requests of two scopes share nothing, whatever scope and id hold", { row: 40 }, async (t) => {
    const requests = tracker(t);
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
      equal((await requests.registerRequest(id)).verdict, "accepted", `request ${i}`);
      await requests.registerRoot(id, "parse", "a");
      if (i === 0) await requests.markFailed(id, "parse", "a", "a secret of the first user");
    }
    for (const [i, pair] of pairs.entries()) {
      const status = present(await requests.queueStatus(joinParts(pair)), `request ${i}`);
      equal(status.parse.errorCount, i === 0 ? 1 : 0, `what request ${i} tells`);
    }
  }),
  aCase("a step that fails in its middle writes nothing", { row: 42 }, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    const before = present(await requests.progress(id, 0, { timeoutMs: 5_000 }), "the request");
    // The mark is written, then the second entry of `next` fails.
    const next = [{ stage: "embed", roots: ["b"] }, null];
    const broken = { op: "op", stage: "parse", root: "a", processed: 1, next } as never;
    const outcome = await t
      .coordinator()
      .run("request.mark", id, broken)
      .then(
        () => "resolved",
        (error: { name: string }) => error.name,
      );
    equal(outcome, "CoordinationError", "the call");
    equal(await requests.progress(id, 0, { timeoutMs: 5_000 }), before, "the request");
    equal((await requests.markDone(id, "parse", "a")).verdict, "accepted", "the same mark, whole");
  }),
  aCase("bad input is refused with the field's name, and stores nothing", {}, async (t) => {
    const { requests, id } = await pending(t, ["a"]);
    const refused = (work: () => Promise<unknown>, field: string) => rejects(work, "invalid_input", field, field);
    await refused(() => requests.registerRequest(""), "requestId");
    await refused(() => requests.registerRequest("x".repeat(257)), "requestId");
    await refused(() => requests.registerRoot(id, "nowhere" as never, "b"), "stage");
    await refused(() => requests.registerRoot(id, "parse", []), "rootIds");
    await refused(() => requests.registerRoot(id, "parse", ["b", ""]), "rootIds[1]");
    await refused(() => requests.markDone(id, "parse", ""), "rootId");
    await refused(() => requests.markDone(id, "parse", "a", -1), "processed");
    await refused(() => requests.markDone(id, "parse", "a", { processed: 0.5 }), "processed");
    await refused(
      () => requests.markDone(id, "parse", "a", { next: [{ stage: "x" as never, rootId: "b" }] }),
      "next[0].stage",
    );
    await refused(
      () => requests.markDone(id, "parse", "a", { next: [{ stage: "embed", rootId: "\ud800" }] }),
      "next[0].rootId",
    );
    await refused(() => requests.markFailed(id, "parse", "a", 7 as never), "message");
    await refused(() => requests.recordProcessed(id, "parse", Number.NaN), "n");
    await refused(() => requests.waitForRequest(id, { timeoutMs: -1 }), "timeoutMs");
    matches(await requests.progress(id, 0, { timeoutMs: 5_000 }), { state: "pending", open: 1 }, "the request");
    for (const stages of [undefined, [], [""], ["a", "a"], ["x".repeat(65)]]) {
      const make = async () => new RequestWaitTracker(t.coordinator(), { stages: stages as never });
      await refused(make, "stages");
    }
    await refused(async () => tracker(t, 0.5), "ttlSec");
  }),
];
