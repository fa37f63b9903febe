import type { ResultPage } from "../../trackers/group/reader.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";

const verdicts = (results: readonly { readonly verdict: string }[]): string[] => results.map(({ verdict }) => verdict);

export const acking: readonly ConformanceCase[] = [
  aCase("every ack gets its verdict", {}, async (t) => {
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
      [0, 0, 0, 0, 0],
      "what remained after the call",
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
  aCase(
    "a page of results is bounded in bytes, and says where it goes on",
    { row: 60, needs: ["large_records"] },
    async (t) => {
      const [tracker, id] = [t.tracker(), t.id()];
      const result = "é".repeat(8_000);
      const ids = Array.from({ length: 100 }, (_, i) => `t${i}`);
      await tracker.register(id, ids.length);
      for (let i = 0; i < ids.length; i += 10) {
        await tracker.ack(
          id,
          ids.slice(i, i + 10).map((taskId) => ({ id: taskId, result })),
        );
      }
      const sizes: number[] = [];
      const found: string[] = [];
      for (let after: number | null = 0; after !== null; ) {
        const page: ResultPage = present(await tracker.results(id, { after, limit: 1_000 }), "the page");
        isTrue(
          page.items.every((item) => item.result === result),
          "whole results",
        );
        sizes.push(page.items.length);
        found.push(...page.items.map(({ taskId }) => taskId));
        after = page.next;
      }
      equal(found, ids, "the tasks");
      // 65 results of 16 KB are a megabyte.
      equal(sizes, [65, 35], "the pages");
    },
  ),
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
      { taskId: "early", stage: null, result: { deep: [null, { x: [] }] } },
      { taskId: "null", stage: null, result: null },
      { taskId: "false", stage: null, result: false },
      { taskId: "text", stage: null, result: "é\u0000" },
      { taskId: "list", stage: null, result: [] },
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
    equal(status.errors, [{ taskId: "b", stage: null, message: "broken" }], "what was said first stands");
    equal((await tracker.results(id))?.items, [{ taskId: "a", stage: null, result: 1 }], "the results");
    equal((await tracker.ack(id, "c")).ended, true, "the last one ends it");
  }),
  aCase("early acks that were all it takes complete the group at its registration", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.ack(id, ["a", "b", "c"]);
    const status = await tracker.register(id, 2, { onComplete: { handler: "nobody", payload: 0 } });
    matches(status, { state: "completed", succeeded: 2, remaining: 0 }, "the status");
    equal(status.delivery.state, "pending", "its delivery");
  }),
  aCase("an early ack counts for nothing in a group without tasks, or that lists others", {}, async (t) => {
    const tracker = t.tracker();
    for (const tasks of [0, [], ["b"]]) {
      const id = t.id(`group-${tasks}`);
      await tracker.ack(id, "a");
      const { total, succeeded, remaining } = await tracker.register(id, tasks);
      equal([succeeded, remaining], [0, total], "what counted and what remains");
    }
  }),
  aCase("a task that one call names twice gets one verdict twice, and its copy is a duplicate", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b"]);
    equal(
      verdicts(await tracker.ack(id, ["x", "x", "a", "a"])),
      ["unknown", "unknown", "accepted", "duplicate"],
      "open",
    );
    await tracker.cancel(id, "enough");
    equal(verdicts(await tracker.ack(id, ["b", "b"])), ["cancelled", "cancelled"], "cancelled");
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
      { taskId: "a", stage: null, message: "disk full" },
      { taskId: "b", stage: null, message: "" },
    ];
    equal(status?.errors, errors, "the errors");
  }),
  aCase(
    "a status shows 20 errors of 256 bytes and their true count, and the tasks keep 1 KB of each",
    {},
    async (t) => {
      const [tracker, id] = [t.tracker(), t.id()];
      const failed = (from: number) =>
        Array.from({ length: 75 }, (_, i) => ({
          id: `t${String(from + i).padStart(3, "0")}`,
          error: "é".repeat(1_000),
        }));
      const tasks = [...failed(0), ...failed(75)].map((task) => task.id);
      await tracker.register(id, tasks);
      await tracker.ack(id, failed(0));
      await tracker.ack(id, failed(75));
      const status = present(await tracker.status(id), "the group");
      matches(status, { state: "completed", ok: false, failed: 150, remaining: 0 }, "the counts");
      equal([status.errors.length, status.errorCount], [20, 150], "the errors that it shows, and their count");
      const last = { taskId: "t019", stage: null, message: "é".repeat(128) };
      equal(status.errors[19], last, "the last one shown, cut between characters");
      const page = present(await tracker.tasks(id, { state: "failed", after: 64, limit: 1_000 }), "the failed tasks");
      const task = { taskId: "t149", stage: null, state: "failed", error: "é".repeat(512) };
      equal([page.items.length, page.items.at(-1), page.next], [86, task, null], "the last of the failed tasks");
    },
  ),
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
  aCase("a decrement that names its generation counts in no other", { row: 65 }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, 3);
    const message = { opId: "message-1", generation };
    equal(await tracker.decrement(id, 1, message), 2, "in its own generation");
    const second = await tracker.register(id, 3, { restart: { from: generation } });
    equal(await t.tracker().decrement(id, 1, message), null, "redelivered after a restart");
    matches(await tracker.status(id), { generation: second.generation, remaining: 3 }, "the new group");
    equal(
      await tracker.decrement(id, 1, { opId: "message-1", generation: second.generation }),
      2,
      "the new generation's",
    );
  }),
  aCase("decrement of a group that lists its tasks is a conflict", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"]);
    await rejects(() => tracker.decrement(id), "conflict", "decrement");
    equal((await tracker.status(id))?.remaining, 1, "nothing counted");
  }),
];
