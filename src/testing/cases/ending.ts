import { equal, matches } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";

export const ending: readonly ConformanceCase[] = [
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
    "a group that is not done at its deadline has timed out, for the first reader too",
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
  aCase("a group without a deadline is open for its TTL after its last change", { needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ ttlSec: 1_000, timeoutSec: 0 }), t.id()];
    equal((await tracker.register(id, 5)).deadlineAtMs, null, "no deadline");
    for (const task of ["a", "b", "c"]) {
      await t.advance(990_000);
      equal((await tracker.ack(id, task)).verdict, "accepted", `ack of ${task}`);
    }
    await t.advance(990_000);
    matches(await tracker.status(id), { state: "open", remaining: 2 }, "within the TTL after the last ack");
    await t.advance(11_000);
    matches(await tracker.status(id), { state: "timed_out", remaining: 2 }, "after it");
  }),
];
