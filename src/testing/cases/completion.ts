import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { ODD_IDS } from "./primitives.js";

const verdicts = (results: readonly { readonly verdict: string }[]): string[] => results.map(({ verdict }) => verdict);

/** The group's life from its early acks to its end, as told by every reply on the way. */
async function lifeOf(t: Bench, on: ReturnType<Bench["coordinator"]>, id: string): Promise<unknown[]> {
  const tracker = t.tracker({ on });
  const told: unknown[] = [];
  told.push(await tracker.ack(id, { id: "a", result: 1 }));
  told.push((await tracker.register(id, ["a", "b", "c"], { metadata: { n: 1 } })).remaining);
  told.push((await tracker.ack(id, "a")).verdict);
  told.push(verdicts(await tracker.ack(id, [{ id: "b", error: "broken" }, "x"])));
  const last = await tracker.ack(id, { id: "c", result: [2] });
  told.push([last.verdict, last.ended, last.remaining, last.state]);
  told.push((await tracker.results(id))?.items);
  told.push((await tracker.cancel(id, "too late"))?.state);
  const status = present(await tracker.status(id), "the group");
  told.push([status.succeeded, status.failed, status.errors, status.state, status.metadata]);
  return told;
}

export const completion: readonly ConformanceCase[] = [
  aCase("an unknown group is null everywhere, and asking does not make it", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal(await tracker.status(id), null, "status");
    equal(await tracker.cancel(id, "no"), null, "cancel");
    equal(await tracker.redeliver(id), null, "redeliver");
    equal(await tracker.results(id), null, "results");
    equal(await tracker.decrement(id), null, "decrement");
    equal((await tracker.register(id, 1)).remaining, 1, "a registration counts none of that");
  }),
  aCase("a registration says the whole status", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const status = await tracker.register(id, 3, { timeoutSec: 600, metadata: { user: "u1" } });
    matches(status, { groupId: id, state: "open", ok: false, reason: null, total: 3 }, "the status");
    matches(status, { succeeded: 0, failed: 0, remaining: 3, errors: [], metadata: { user: "u1" } }, "the status");
    equal(status.delivery, { state: "none", deliveryId: null, attempts: 0, lastError: null }, "the delivery");
    isTrue(status.generation > 1_600_000_000_000, "the generation is the server's time");
    equal(present(status.deadlineAtMs, "the deadline") - status.generation, 600_000, "the deadline");
    equal(await t.tracker().status(id), status, "what another instance reads");
  }),
  aCase("a group is complete once every listed task was acked", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, ["a", "b"]);
    const first = await tracker.ack(id, "b");
    equal(first, { verdict: "accepted", state: "open", ended: false, remaining: 1, generation }, "the first ack");
    const last = await t.tracker().ack(id, "a");
    equal(last, { verdict: "accepted", state: "completed", ended: true, remaining: 0, generation }, "the last ack");
    matches(await tracker.status(id), { state: "completed", ok: true, succeeded: 2, remaining: 0 }, "the status");
  }),
  aCase("a group without tasks is complete at once", {}, async (t) => {
    const tracker = t.tracker();
    matches(await tracker.register(t.id("total"), 0), { state: "completed", ok: true, total: 0 }, "a total of 0");
    matches(await tracker.register(t.id("list"), []), { state: "completed", ok: true, total: 0 }, "an empty list");
  }),
  aCase("registering again with the same specification changes nothing, before and after the end", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const targets = { onComplete: { handler: "nobody", payload: { a: 1, b: [2, { c: 3, d: 4 }] } } } as const;
    const first = await tracker.register(id, ["a", "b"], { ...targets, metadata: 1, timeoutSec: 600 });
    await tracker.ack(id, "a");
    const same = { onComplete: { handler: "nobody", payload: { b: [2, { d: 4, c: 3 }], a: 1 } } } as const;
    const again = await t.tracker().register(id, ["b", "a"], { ...same, metadata: 2, timeoutSec: 6_000 });
    matches(
      again,
      { generation: first.generation, deadlineAtMs: first.deadlineAtMs, metadata: 1 },
      "again, while open",
    );
    matches(again, { succeeded: 1, remaining: 1 }, "its progress");
    await tracker.ack(id, "b");
    const after = await tracker.register(id, ["a", "b"], { ...targets });
    matches(after, { generation: first.generation, state: "completed", succeeded: 2 }, "again, after the end");
  }),
  aCase("registering with another specification is a conflict that changes nothing", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const onComplete = { handler: "nobody", payload: 1 } as const;
    const first = await tracker.register(id, ["a", "b"], { onComplete });
    await rejects(() => tracker.register(id, ["a", "c"], { onComplete }), "conflict", "other tasks");
    await rejects(() => tracker.register(id, ["a", "b", "c"], { onComplete }), "conflict", "more tasks");
    await rejects(() => tracker.register(id, 2, { onComplete }), "conflict", "a total in place of a list");
    await rejects(() => tracker.register(id, ["a", "b"]), "conflict", "no target");
    const other = { handler: "nobody", payload: 2 } as const;
    await rejects(() => tracker.register(id, ["a", "b"], { onComplete: other }), "conflict", "another payload");
    await rejects(() => tracker.register(id, ["a", "b"], { onEnd: onComplete }), "conflict", "another end");
    equal(await tracker.status(id), first, "the group");
    await tracker.ack(id, ["a", "b"]);
    await rejects(() => tracker.register(id, ["a", "c"], { onComplete }), "conflict", "after the end");
  }),
  aCase("a restart begins a new generation, which knows nothing of the old one's acks", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const first = await tracker.register(id, ["a", "b"], { metadata: "old" });
    await tracker.ack(id, [
      { id: "a", result: 1 },
      { id: "b", error: "broken" },
    ]);
    const second = await tracker.register(id, ["a", "c", "d"], { restart: { from: first.generation } });
    isTrue(second.generation > first.generation, "the generation grows");
    matches(second, { state: "open", total: 3, remaining: 3, failed: 0, errors: [], metadata: null }, "the new group");
    equal((await tracker.results(id))?.items, [], "its results");
    equal((await tracker.ack(id, "b")).verdict, "unknown", "a task of the old list");
    equal(verdicts(await tracker.ack(id, ["a", "c", "d"])), ["accepted", "accepted", "accepted"], "its own tasks");
  }),
  aCase("a restart from a generation that no longer stands is a conflict", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await rejects(() => tracker.register(id, 1, { restart: { from: 1 } }), "conflict", "an unknown group");
    equal(await tracker.status(id), null, "it was not made");
    const first = await tracker.register(id, 2);
    const second = await tracker.register(id, 3, { restart: { from: first.generation } });
    await tracker.ack(id, "a");
    const late = () => tracker.register(id, 4, { restart: { from: first.generation } });
    await rejects(late, "conflict", "the first generation, again");
    matches(await tracker.status(id), { generation: second.generation, total: 3, remaining: 2 }, "the group");
  }),
  aCase("restart: true begins anew whatever stands, and registers what does not", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const first = await tracker.register(id, 1, { restart: true });
    const second = await tracker.register(id, 1, { restart: true });
    const third = await tracker.register(id, 1, { restart: true });
    isTrue(first.generation < second.generation && second.generation < third.generation, "the generations grow");
  }),
  aCase("generations do not fall back once a record has expired", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ ttlSec: 60 }), t.id()];
    const first = await tracker.register(id, 0);
    await t.advance(61_000);
    equal(await tracker.status(id), null, "after the TTL");
    const second = await tracker.register(id, 5);
    isTrue(second.generation > first.generation, "the generation grows");
  }),
  aCase("metadata comes back as it was", {}, async (t) => {
    const tracker = t.tracker();
    const values = [
      null,
      false,
      0,
      "",
      [],
      {},
      [[]],
      { a: { b: [] } },
      [null, { c: null }],
      "é🙂\u0000",
      1e21,
      0.1,
      -0.5,
    ];
    for (const [i, metadata] of values.entries()) {
      const id = t.id(`group-${i}`);
      equal((await tracker.register(id, 1, { metadata })).metadata, metadata, `metadata ${i}, registered`);
      equal((await tracker.status(id))?.metadata, metadata, `metadata ${i}, read`);
    }
    const longest = "x".repeat(16_382);
    equal((await tracker.register(t.id("long"), 1, { metadata: longest })).metadata, longest, "16 KB");
    const over = () => tracker.register(t.id("longer"), 1, { metadata: `${longest}x` });
    await rejects(over, "invalid_input", "more than 16 KB", "metadata");
  }),
  aCase("every ack is told what it was", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const early = { verdict: "early", state: "unregistered", ended: false, remaining: null, generation: null };
    equal(await tracker.ack(id, "a"), early, "before the registration");
    equal(await tracker.ack(id, "a"), early, "again");
    const { generation } = await tracker.register(id, ["a", "b", "c"]);
    const base = { state: "open", ended: false, remaining: 2, generation };
    equal(await tracker.ack(id, "a"), { ...base, verdict: "duplicate" }, "a task that was acked early");
    equal(await tracker.ack(id, "z"), { ...base, verdict: "unknown" }, "a task that is not listed");
    equal(await tracker.ack(id, "b"), { ...base, verdict: "accepted", remaining: 1 }, "a task");
    equal(await tracker.ack(id, "b"), { ...base, verdict: "duplicate", remaining: 1 }, "the same again");
    await tracker.cancel(id, "enough");
    const over = { state: "cancelled", ended: false, remaining: 1, generation };
    equal(await tracker.ack(id, "c"), { ...over, verdict: "cancelled" }, "after the cancellation");
    equal(await tracker.ack(id, "b"), { ...over, verdict: "duplicate" }, "a counted one, after it");
    const done = t.id("done");
    await tracker.register(done, 1);
    await tracker.ack(done, "a");
    equal((await tracker.ack(done, "b")).verdict, "late", "a new task, after the end");
    equal((await tracker.ack(done, "a")).verdict, "duplicate", "the counted one, after the end");
  }),
  aCase("one call acks many tasks, each with its verdict, in order", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, ["a", "b", "c"]);
    const results = await tracker.ack(id, ["a", "x", "a", "c", "b"]);
    equal(verdicts(results), ["accepted", "unknown", "duplicate", "accepted", "accepted"], "the verdicts");
    equal(
      results.map(({ ended }) => ended),
      [false, false, false, false, true],
      "which of them ended it",
    );
    equal(
      results.map(({ remaining }) => remaining),
      [2, 2, 2, 1, 0],
      "what remained",
    );
    isTrue(
      results.every((result) => result.generation === generation),
      "the generation",
    );
  }),
  aCase("a call of 1,000 tasks counts them all", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const tasks = Array.from({ length: 1_000 }, (_, i) => `task-${i}`);
    await tracker.register(id, tasks);
    const results = await tracker.ack(id, tasks);
    equal(results.filter(({ verdict }) => verdict === "accepted").length, 1_000, "accepted");
    equal(results.filter(({ ended }) => ended).length, 1, "ended");
    matches(await tracker.status(id), { state: "completed", succeeded: 1_000 }, "the status");
  }),
  aCase("a group of 5,000 listed tasks keeps every one of them", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const tasks = Array.from({ length: 5_000 }, (_, i) => `task-${i}`);
    equal((await tracker.register(id, tasks)).remaining, 5_000, "registered");
    for (let from = 0; from < 5_000; from += 1_000) await tracker.ack(id, tasks.slice(from, from + 1_000));
    matches(await tracker.status(id), { state: "completed", succeeded: 5_000 }, "the status");
  }),
  aCase("results come back in the order of their acks, page by page", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.ack(id, { id: "early", result: { deep: [null, { x: [] }] } });
    await tracker.register(id, 8);
    await tracker.ack(id, [{ id: "null", result: null }, "none", { id: "false", result: false }]);
    await tracker.ack(id, { id: "failed", error: "broken" });
    await tracker.ack(id, [
      { id: "text", result: "é\u0000" },
      { id: "list", result: [] },
      { id: "text", result: "again" },
    ]);
    const all = [
      { taskId: "early", result: { deep: [null, { x: [] }] } },
      { taskId: "null", result: null },
      { taskId: "false", result: false },
      { taskId: "text", result: "é\u0000" },
      { taskId: "list", result: [] },
    ];
    equal(await tracker.results(id), { items: all, next: null }, "all");
    equal(await tracker.results(id, { limit: 2 }), { items: all.slice(0, 2), next: 2 }, "the first page");
    equal(await tracker.results(id, { after: 2, limit: 2 }), { items: all.slice(2, 4), next: 4 }, "the second");
    equal(await tracker.results(id, { after: 4, limit: 2 }), { items: all.slice(4), next: null }, "the last");
    equal(await tracker.results(id, { after: 5 }), { items: [], next: null }, "beyond");
    equal(await tracker.results(id, { after: 999 }), { items: [], next: null }, "far beyond");
  }),
  aCase("an ack with a generation counts for that registration alone, and is never early", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal((await tracker.ack(id, "a", { generation: 5 })).verdict, "unknown", "before the registration");
    const first = await tracker.register(id, ["a", "b"]);
    equal(first.remaining, 2, "it was not kept");
    equal((await tracker.ack(id, "a", { generation: first.generation })).verdict, "accepted", "its own");
    const second = await tracker.register(id, ["a", "b"], { restart: { from: first.generation } });
    equal((await tracker.ack(id, "a", { generation: first.generation })).verdict, "unknown", "the old one");
    const other = await tracker.ack(id, ["b", "a"], { generation: second.generation + 1 });
    equal(verdicts(other), ["unknown", "unknown"], "one that is not there yet");
    equal((await tracker.status(id))?.remaining, 2, "nothing counted");
    equal((await tracker.ack(id, "a", { generation: second.generation })).verdict, "accepted", "the new one");
  }),
  aCase("acks that come before the registration count when it comes, with what they brought", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.ack(id, [{ id: "a", result: 1 }, { id: "b", error: "broken" }, "stranger"]);
    await t.tracker().ack(id, [
      { id: "a", result: 2 },
      { id: "b", result: 3 },
    ]);
    const status = await tracker.register(id, ["a", "b", "c"]);
    matches(status, { state: "open", succeeded: 1, failed: 1, remaining: 1 }, "the counts");
    equal(status.errors, [{ taskId: "b", message: "broken" }], "what was said first stands");
    equal((await tracker.results(id))?.items, [{ taskId: "a", result: 1 }], "the results");
    equal((await tracker.ack(id, "c")).ended, true, "the last one ends it");
  }),
  aCase("early acks that were all it takes complete the group at its registration", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.ack(id, ["a", "b", "c"]);
    const status = await tracker.register(id, 2, { onComplete: { handler: "nobody", payload: 0 } });
    matches(status, { state: "completed", succeeded: 2, remaining: 0 }, "the status");
    equal(status.delivery.state, "pending", "its delivery");
  }),
  aCase("early acks end after their time, which another ack prolongs", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ earlyTtlSec: 300 }), t.id()];
    await tracker.ack(id, "a");
    await tracker.ack(id, "b");
    await t.advance(200_000);
    await tracker.ack(id, "b");
    await t.advance(150_000);
    matches(await tracker.register(id, ["a", "b"]), { succeeded: 1, remaining: 1 }, "after 350 s");
    equal((await tracker.ack(id, "b")).verdict, "duplicate", "the one that was prolonged");
    equal((await tracker.ack(id, "a")).verdict, "accepted", "the one that was not");
  }),
  aCase("an early ack with a shorter time does not shorten another's", { needs: ["clock"] }, async (t) => {
    const id = t.id();
    await t.tracker({ earlyTtlSec: 300 }).ack(id, "a");
    await t.tracker({ earlyTtlSec: 10 }).ack(id, "b");
    await t.advance(100_000);
    matches(await t.tracker().register(id, ["a", "b"]), { succeeded: 1, remaining: 1 }, "after 100 s");
  }),
  aCase("a failed task is settled, and its group completed but not ok", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b"]);
    equal((await tracker.fail(id, "a", "disk full")).verdict, "accepted", "fail");
    equal((await tracker.fail(id, "a", "again")).verdict, "duplicate", "fail again");
    equal((await tracker.ack(id, { id: "b", error: "" })).ended, true, "an empty message is a failure too");
    const status = await tracker.status(id);
    matches(status, { state: "completed", ok: false, succeeded: 0, failed: 2, remaining: 0 }, "the status");
    const errors = [
      { taskId: "a", message: "disk full" },
      { taskId: "b", message: "" },
    ];
    equal(status?.errors, errors, "the errors");
  }),
  aCase("100 errors of 1 KB are kept, and the true count beside them", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, 150);
    const failed = (from: number) =>
      Array.from({ length: 75 }, (_, i) => ({ id: `t${from + i}`, error: "é".repeat(1_000) }));
    await tracker.ack(id, failed(0));
    await tracker.ack(id, failed(75));
    const status = present(await tracker.status(id), "the group");
    matches(status, { state: "completed", ok: false, failed: 150, remaining: 0 }, "the counts");
    equal(status.errors.length, 100, "the errors kept");
    equal(status.errors[99], { taskId: "t99", message: "é".repeat(512) }, "the last one, cut between characters");
  }),
  aCase("ackAndStatus says the status by the same step", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const early = await tracker.ackAndStatus(id, ["a"]);
    equal([verdicts(early.results), early.status], [["early"], null], "before the registration");
    await tracker.register(id, ["a", "b"]);
    const { results, status } = await tracker.ackAndStatus(id, [{ id: "b", error: "broken" }]);
    equal(verdicts(results), ["accepted"], "the verdict");
    matches(status, { groupId: id, state: "completed", succeeded: 1, failed: 1 }, "the status");
  }),
  aCase("of many acks at once, from many instances, one ends the group", {}, async (t) => {
    const id = t.id();
    const trackers = [t.tracker(), t.tracker(), t.tracker()];
    const tasks = Array.from({ length: 30 }, (_, i) => `task-${i}`);
    await trackers[0]?.register(id, tasks);
    const acks = trackers.flatMap((tracker) => tasks.map((task) => tracker.ack(id, task)));
    const results = await Promise.all(acks);
    equal(results.filter(({ verdict }) => verdict === "accepted").length, 30, "accepted");
    equal(results.filter(({ verdict }) => verdict === "duplicate").length, 60, "duplicates");
    equal(results.filter(({ ended }) => ended).length, 1, "ended");
  }),
  aCase("of many registrations at once, all see one generation", {}, async (t) => {
    const id = t.id();
    const statuses = await Promise.all(Array.from({ length: 10 }, () => t.tracker().register(id, ["a", "b"])));
    equal(new Set(statuses.map(({ generation }) => generation)).size, 1, "generations");
  }),
  aCase("decrement counts tasks without names, down to the end and not below", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, 5);
    equal(await tracker.decrement(id), 4, "by 1");
    equal(await tracker.decrement(id, 2), 2, "by 2");
    equal((await tracker.ack(id, "named")).remaining, 1, "an ack beside it");
    equal(await tracker.decrement(id, 10), 0, "by more than remain");
    matches(await tracker.status(id), { state: "completed", succeeded: 5, remaining: 0 }, "the status");
    equal(await tracker.decrement(id), 0, "after the end");
  }),
  aCase("decrement with one op id counts once", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, 3);
    equal(await tracker.decrement(id, 1, { opId: "message-1" }), 2, "the first");
    equal(await t.tracker().decrement(id, 1, { opId: "message-1" }), 2, "the same message");
    equal(await tracker.decrement(id, 1, { opId: "__proto__" }), 1, "another");
  }),
  aCase("decrement of a group that lists its tasks is a conflict", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"]);
    await rejects(() => tracker.decrement(id), "conflict", "decrement");
    equal((await tracker.status(id))?.remaining, 1, "nothing counted");
  }),
  aCase("cancel ends an open group with its reason, and no other", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, 2);
    matches(await tracker.cancel(id, "user left"), { state: "cancelled", ok: false, reason: "user left" }, "cancel");
    matches(await tracker.cancel(id, "again"), { state: "cancelled", reason: "user left" }, "cancel again");
    equal((await tracker.ack(id, "a")).verdict, "cancelled", "an ack");
    const done = t.id("done");
    await tracker.register(done, 0);
    matches(await tracker.cancel(done, "too late"), { state: "completed", reason: null }, "cancel after the end");
  }),
  aCase(
    "a group that is not done at its deadline has timed out, whoever looks first",
    { needs: ["clock"] },
    async (t) => {
      const [tracker, id] = [t.bareTracker(), t.id()];
      await tracker.register(id, ["a", "b"], { timeoutSec: 600 });
      await tracker.ack(id, "a");
      await t.advance(500_000);
      matches(await tracker.status(id), { state: "open", remaining: 1 }, "before the deadline");
      await t.advance(101_000);
      const late = await tracker.ack(id, "b");
      matches(late, { verdict: "late", state: "timed_out", ended: false, remaining: 1 }, "an ack after it");
      matches(await tracker.status(id), { state: "timed_out", ok: false, succeeded: 1 }, "the status");
    },
  ),
  aCase("a group that was done before its deadline stays completed", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, 1, { timeoutSec: 600 });
    await tracker.ack(id, "a");
    await t.advance(601_000);
    matches(await tracker.status(id), { state: "completed", ok: true }, "after the deadline");
  }),
  aCase("an ended group stays readable for its TTL, and then is unknown", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ ttlSec: 600 }), t.id()];
    await tracker.register(id, ["a"], { timeoutSec: 0 });
    await t.advance(100_000);
    await tracker.ack(id, "a");
    await t.advance(550_000);
    equal((await tracker.status(id))?.state, "completed", "within the TTL");
    equal((await tracker.ack(id, "b", {})).verdict, "unknown", "a stranger, turned away");
    await t.advance(51_000);
    equal(await tracker.status(id), null, "after the TTL");
    equal((await tracker.register(id, 7)).total, 7, "the id is free");
  }),
  aCase("a group without a deadline lives for its TTL after its last write", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ ttlSec: 1_000, timeoutSec: 0 }), t.id()];
    equal((await tracker.register(id, 5)).deadlineAtMs, null, "no deadline");
    for (const task of ["a", "b", "c"]) {
      await t.advance(740_000);
      equal((await tracker.ack(id, task)).verdict, "accepted", `ack of ${task}`);
    }
    await t.advance(740_000);
    equal((await tracker.status(id))?.remaining, 2, "within the TTL after the last ack");
    await t.advance(300_000);
    equal(await tracker.status(id), null, "after it");
  }),
  aCase("odd ids are ids like any other, of groups and of tasks", {}, async (t) => {
    const tracker = t.tracker();
    const group = t.id("tasks");
    await tracker.register(group, ODD_IDS);
    equal(
      verdicts(await tracker.ack(group, ODD_IDS)),
      ODD_IDS.map(() => "accepted"),
      "the acks",
    );
    equal((await tracker.status(group))?.state, "completed", "the group");
    for (const odd of ODD_IDS) await tracker.register(`${t.id("g")}${odd}`, [odd, "z"], { metadata: odd });
    for (const odd of ODD_IDS) {
      const id = `${t.id("g")}${odd}`;
      equal((await tracker.ack(id, { id: odd, error: odd })).remaining, 1, JSON.stringify(odd));
      const status = await tracker.status(id);
      matches(status, { groupId: id, metadata: odd, errors: [{ taskId: odd, message: odd }] }, JSON.stringify(odd));
    }
  }),
  aCase("a group goes the same way on a network that loses every reply", {}, async (t) => {
    const usual = await lifeOf(t, t.coordinator(), t.id("usual"));
    equal(await lifeOf(t, losingReplies(t.coordinator()), t.id("lossy")), usual, "what was told");
  }),
  aCase("a group goes the same way on a network that delivers every call twice", {}, async (t) => {
    const usual = await lifeOf(t, t.coordinator(), t.id("usual"));
    equal(await lifeOf(t, duplicating(t.coordinator()), t.id("twice")), usual, "what was told");
  }),
  aCase("a raw key's write counts once on a network that delivers every call twice", {}, async (t) => {
    const c = duplicating(t.coordinator());
    equal(await c.incr(t.id("number"), 2), 2, "incr");
    equal(await c.incr(t.id("number"), 3), 5, "incr again");
    equal(await c.sadd(t.id("set"), "a", "b"), 2, "sadd");
    equal(await c.srem(t.id("set"), "a"), 1, "srem");
    equal(await c.rpush(t.id("list"), "x"), 1, "rpush");
    equal(await c.rpush(t.id("list"), "x"), 2, "rpush again");
    equal(await c.setIfAbsent(t.id("flag"), 60), true, "setIfAbsent");
    equal(await c.lrange(t.id("list")), ["x", "x"], "the list");
    equal(await c.getInt(t.id("number")), 5, "the number");
    equal(await c.scard(t.id("set")), 1, "the set");
  }),
  aCase("what may not be resent says that it may have been applied", {}, async (t) => {
    const [c, key] = [t.coordinator(), t.id("key")];
    const error = await rejects(() => losingReplies(c).incr(key), "backend_unavailable", "incr");
    equal(error.applied, "unknown", "applied");
    equal(await c.getInt(key), 1, "it was");
  }),
];
