import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { held } from "./requests.js";

const named = (...ids: readonly string[]) => ids.map((taskId) => ({ taskId, stage: null }));

/** Failed tasks that are tried again, restarts that keep what has succeeded, and removals. */
export const repair: readonly ConformanceCase[] = [
  aCase("retry opens failed tasks again, while the group is open", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b", "c"]);
    await tracker.ack(id, [{ id: "a", error: "broken" }, "b"]);
    const { outcome, reopened, status } = await tracker.retry(id, ["a", "b", "c", "x"]);
    equal([outcome, reopened], ["retried", named("a")], "what is open again");
    matches(status, { failed: 0, succeeded: 1, remaining: 2, errors: [], errorCount: 1 }, "the group");
    const lossy = t.bareTracker(losingReplies(t.coordinator()));
    equal((await lossy.retry(id, "a")).reopened, [], "a task that is open");
    await tracker.ack(id, ["a", "c"]);
    matches(await tracker.status(id), { state: "completed", ok: true, succeeded: 3 }, "the end");
    matches(await tracker.retry(id, "a"), { outcome: "late", reopened: [] }, "after the end");
    equal(
      await tracker.retry(t.id("none"), "a"),
      { outcome: "unknown", reopened: [], status: null },
      "an unknown group",
    );
  }),
  aCase("a late copy of the fail that was retried counts nothing against the next attempt", {}, async (t) => {
    const [tracker, id, on] = [t.tracker(), t.id(), t.coordinator()];
    await tracker.register(id, ["a", "b", "c"]);
    const failed = { op: crypto.randomUUID(), tasks: [{ id: "a", error: "broken" }], earlyTtlMs: 0 };
    const verdict = async () => (await on.run("completion.ack", id, failed)).results[0]?.verdict;
    equal(await verdict(), "accepted", "the failure");
    await tracker.retry(id, "a");
    equal(await verdict(), "accepted", "its copy, after the retry");
    matches(await tracker.status(id), { failed: 0, remaining: 3 }, "the group");
    equal((await tracker.ack(id, "a")).verdict, "accepted", "the next attempt");
    equal(await verdict(), "duplicate", "its copy, after the next attempt");
    matches(await tracker.status(id), { failed: 0, succeeded: 1, remaining: 2 }, "the group");
    const twice = { ...failed, op: crypto.randomUUID(), tasks: [{ id: "b", error: "broken" }] };
    await on.run("completion.ack", id, twice);
    await tracker.retry(id, "b");
    await tracker.fail(id, "b", "broken again");
    await tracker.retry(id, "b");
    await on.run("completion.ack", id, twice);
    matches(await tracker.status(id), { failed: 0, remaining: 2, errorCount: 3 }, "its copy, two attempts later");
  }),
  aCase("a resent retry gets its first answer, and opens nothing that failed since", {}, async (t) => {
    const [tracker, id, on] = [t.tracker(), t.id(), t.coordinator()];
    await tracker.register(id, ["a", "b"]);
    await tracker.fail(id, "a", "first");
    const retry = { op: crypto.randomUUID(), tasks: [{ id: "a" }] };
    matches(await on.run("completion.retry", id, retry), { outcome: "retried", letters: "r" }, "the retry");
    await tracker.fail(id, "a", "second");
    matches(await on.run("completion.retry", id, retry), { outcome: "retried", letters: "r" }, "its copy");
    const errors = [{ taskId: "a", stage: null, message: "second" }];
    matches(await tracker.status(id), { failed: 1, errorCount: 2, errors }, "the group");
  }),
  aCase("the last failure of an unsealed group can be retried", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"], { open: true });
    equal((await tracker.fail(id, "a", "broken")).ended, false, "the failure");
    equal((await tracker.retry(id, "a")).reopened, named("a"), "the retry");
    await tracker.seal(id);
    equal((await tracker.ack(id, "a")).ended, true, "the success");
    equal((await tracker.status(id))?.ok, true, "the end");
  }),
  aCase("a restart that keeps successes keeps their results, and opens the failed tasks", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, ["a", "b", "c"]);
    await tracker.ack(id, [
      { id: "a", result: 1 },
      { id: "b", error: "broken" },
    ]);
    const restart = { from: generation, keep: "succeeded" } as const;
    const next = await tracker.register(id, ["a", "b", "c", "d"], { restart });
    isTrue(next.generation > generation, "a new generation");
    matches(next, { state: "open", total: 4, succeeded: 1, failed: 0, remaining: 3, errors: [], errorCount: 0 }, "it");
    equal((await tracker.ack(id, "a")).verdict, "duplicate", "the success");
    equal((await tracker.ack(id, { id: "b", result: 2 })).verdict, "accepted", "the failed task");
    equal((await tracker.ack(id, "c", { generation })).verdict, "accepted", "a success of the generation before");
    const failure = await tracker.fail(id, "d", "late", { generation });
    equal(failure.verdict, "unknown", "a failure of the generation before");
    const items = [
      { taskId: "a", stage: null, result: 1 },
      { taskId: "b", stage: null, result: 2 },
    ];
    equal((await tracker.results(id))?.items, items, "the results");
    equal((await tracker.ack(id, "d")).ended, true, "the last task");
    matches(await tracker.status(id), { state: "completed", ok: true, succeeded: 4 }, "the end");
  }),
  aCase("a restart in place keeps what had grown, and early successes, but no early failures", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, ["a"], { open: true });
    await tracker.ack(id, "a", { next: ["b"] });
    await tracker.ack(id, ["good", { id: "bad", error: "broken" }]);
    await tracker.cancel(id, "enough");
    const restart = { from: generation, keep: "succeeded" } as const;
    const next = await tracker.register(id, ["a"], { open: true, restart });
    matches(next, { state: "open", total: 2, succeeded: 1, remaining: 1 }, "what stays");
    matches(await tracker.add(id, ["good", "bad"]), { added: named("bad") }, "the tasks that need work");
    matches(await tracker.status(id), { total: 4, succeeded: 2, failed: 0, remaining: 2 }, "the counts");
  }),
  aCase(
    "a delayed copy of a restart does nothing, and one from another generation is refused",
    { row: 34 },
    async (t) => {
      const [tracker, id] = [t.tracker(), t.id()];
      const { generation } = await tracker.register(id, ["a", "b"]);
      await tracker.fail(id, "a", "broken");
      const restart = { from: generation, keep: "succeeded" } as const;
      const second = await tracker.register(id, ["a", "b"], { restart });
      await tracker.ack(id, "a");
      const copy = await tracker.register(id, ["a", "b"], { restart });
      matches(copy, { generation: second.generation, succeeded: 1, remaining: 1 }, "the copy");
      const other = { ...restart, from: generation - 1 };
      await rejects(() => tracker.register(id, ["a", "b"], { restart: other }), "conflict", "another generation");
    },
  ),
  aCase("an indexed group restarts in place as well", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, { indexed: 3 });
    await tracker.ack(id, [0, { id: 1, error: "broken" }]);
    equal((await tracker.retry(id, 1)).reopened, named("1"), "a retry");
    await tracker.fail(id, 1, "again");
    const restart = { from: generation, keep: "succeeded" } as const;
    matches(await tracker.register(id, { indexed: 3 }, { restart }), { succeeded: 1, remaining: 2 }, "the restart");
    await tracker.ack(id, [1, 2]);
    matches(await tracker.status(id), { state: "completed", ok: true, succeeded: 3 }, "the end");
  }),
  aCase("remove cancels an open group, hides it, and frees its id", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, ["a", "b"]);
    await tracker.ack(id, { id: "a", result: 1 });
    const wait = held(tracker.wait(id, { timeoutMs: 20_000 }));
    await settle();
    const lossy = t.bareTracker(losingReplies(t.coordinator()));
    equal(await lossy.remove(id), true, "the removal");
    matches(await wait, { state: "cancelled", reason: "removed" }, "a waiter");
    equal([await tracker.status(id), await tracker.results(id), await tracker.tasks(id)], [null, null, null], "reads");
    equal((await tracker.ack(id, "b")).verdict, "unknown", "a late ack");
    equal(await tracker.remove(id), false, "another removal");
    const next = await tracker.register(id, ["a", "b"]);
    matches(next, { state: "open", succeeded: 0, remaining: 2 }, "the id, used again");
    isTrue(next.generation > generation, "its generation");
    equal((await tracker.results(id))?.items, [], "its results");
    equal((await tracker.ack(id, ["a", "b"])).at(-1)?.ended, true, "its acks");
  }),
  aCase("late copies of the calls of a removed group change nothing in the next", {}, async (t) => {
    const [id, on] = [t.id(), t.coordinator()];
    const tracker = t.bareTracker(on);
    const { generation } = await tracker.register(id, ["a", "b"]);
    const acked = { op: crypto.randomUUID(), tasks: [{ id: "a" }], earlyTtlMs: 300_000 };
    const removed = { op: crypto.randomUUID() };
    await on.run("completion.ack", id, acked);
    await on.run("completion.remove", id, removed);
    const next = await tracker.register(id, ["a", "b"]);
    isTrue(next.generation > generation, "another generation");
    await on.run("completion.ack", id, acked);
    equal((await on.run("completion.remove", id, removed)).found, true, "the copy of the removal");
    matches(await tracker.status(id), { state: "open", succeeded: 0, remaining: 2 }, "the next use");
  }),
  aCase("a removed group still delivers its end", { needs: ["handlers"] }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a"], { onEnd: { handler: "record", payload: "removed" } });
    await tracker.remove(id);
    const [first] = await t.untilDelivered(id, 1);
    matches(first?.event, { type: "group.cancelled", reason: "removed", payload: "removed" }, "the delivery");
    equal(await tracker.status(id), null, "the group");
  }),
  aCase("writes that name a generation change no other", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const { generation } = await tracker.register(id, ["a", "b"]);
    await tracker.fail(id, "a", "broken");
    const before = present(await tracker.status(id), "the group");
    const other = { generation: generation + 1 };
    equal((await tracker.retry(id, "a", other)).outcome, "unknown", "retry");
    await tracker.cancel(id, "enough", other);
    await tracker.redeliver(id, other);
    equal((await tracker.fail(id, "b", "no", other)).verdict, "unknown", "fail");
    equal(await tracker.status(id), before, "the group");
  }),
  aCase("late copies of calls change nothing in the generation that a restart began", {}, async (t) => {
    const [id, on] = [t.id(), t.coordinator()];
    const tracker = t.bareTracker(on);
    const { generation } = await tracker.register(id, ["a"], { open: true, timeoutSec: 60 });
    const op = () => crypto.randomUUID();
    const [added, sealed] = [{ op: op(), lists: ['["","b"]'] }, { op: op() }];
    const retried = { op: op(), tasks: [{ id: "a" }] };
    const extended = { op: op(), timeoutMs: 600_000 };
    const calls = async () => {
      const { letters } = await on.run("completion.add", id, added);
      const { outcome } = await on.run("completion.seal", id, sealed);
      await on.run("completion.extend", id, extended);
      return [letters, outcome];
    };
    await tracker.fail(id, "a", "broken");
    await on.run("completion.retry", id, retried);
    equal(await calls(), ["n", "sealed"], "the calls");
    const restart = { from: generation };
    const next = await tracker.register(id, ["a", "c"], { open: true, restart, timeoutSec: 60 });
    await tracker.fail(id, "a", "broken again");
    await on.run("completion.retry", id, retried);
    equal(await calls(), ["n", "sealed"], "their copies");
    const { deadlineAtMs } = next;
    matches(await tracker.status(id), { state: "open", sealed: false, total: 2, failed: 1, deadlineAtMs }, "the group");
  }),
];
