import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { duplicating, losingReplies } from "../faults.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";

const STEP_MS = 901_000;

/** The rows of the fault table that concern a group of tasks, each by its number. */
export const faults: readonly ConformanceCase[] = [
  aCase("an ack that comes before its registration counts", { row: 1 }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    equal((await tracker.ack(id, "a")).verdict, "early", "the ack");
    matches(await tracker.register(id, 1), { state: "completed", ok: true, succeeded: 1 }, "the registration");
  }),
  aCase("a task that is acked twice counts once, with and without a list", { row: 2 }, async (t) => {
    const tracker = t.tracker();
    for (const [label, tasks] of [
      ["list", ["a", "b"]],
      ["total", 2],
    ] as const) {
      const id = t.id(label);
      await tracker.register(id, tasks);
      await tracker.ack(id, "a");
      equal((await t.tracker().ack(id, "a")).verdict, "duplicate", `the second ack, ${label}`);
      matches(await tracker.status(id), { state: "open", succeeded: 1, remaining: 1 }, label);
      equal((await tracker.ack(id, "b")).ended, true, `the other task, ${label}`);
    }
  }),
  aCase("a task that was acked as failed and is retried all the same counts once", { row: 3 }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, 2);
    await tracker.fail(id, "a", "transient");
    equal((await tracker.ack(id, { id: "a", result: 1 })).verdict, "duplicate", "the retry");
    matches(await tracker.status(id), { state: "open", succeeded: 0, failed: 1, remaining: 1 }, "the group");
    equal((await tracker.results(id))?.items, [], "the results");
  }),
  aCase("a decrement whose reply is lost and that is resent counts once", { row: 4 }, async (t) => {
    const id = t.id();
    await t.tracker().register(id, 2);
    equal(await t.tracker({ on: losingReplies(t.coordinator()) }).decrement(id), 1, "what it says");
    matches(await t.tracker().status(id), { state: "open", succeeded: 1, remaining: 1 }, "the group");
  }),
  aCase(
    "the end of a group is delivered though its last ack's reply was lost",
    { row: 5, needs: ["handlers"] },
    async (t) => {
      const id = t.id();
      await t.tracker().register(id, ["a"], { onComplete: { handler: "record", payload: 1 } });
      const last = await t.tracker({ on: losingReplies(t.coordinator()) }).ack(id, "a");
      matches(last, { verdict: "accepted", ended: true }, "the ack");
      await t.untilDelivery(id, "delivered");
      equal((await t.deliveries(id)).length, 1, "deliveries");
    },
  ),
  aCase(
    "a registration that is redelivered to a second owner has one delivery",
    { row: 6, needs: ["handlers"] },
    async (t) => {
      const id = t.id();
      const onComplete = { handler: "record", payload: 1 } as const;
      const first = await t.tracker().register(id, ["a"], { onComplete });
      const second = await t.tracker().register(id, ["a"], { onComplete });
      equal(second.generation, first.generation, "the generation");
      await t.tracker().ack(id, "a");
      const third = await t.tracker().register(id, ["a"], { onComplete });
      equal(third.state, "completed", "a third owner, after the end");
      await t.untilDelivery(id, "delivered");
      equal((await t.deliveries(id)).length, 1, "deliveries");
    },
  ),
  aCase("registering again keeps the progress", { row: 7 }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["a", "b", "c"]);
    await tracker.ack(id, "a");
    matches(await t.tracker().register(id, ["a", "b", "c"]), { succeeded: 1, remaining: 2 }, "the registration");
    equal(
      (await tracker.ack(id, ["a", "b"])).map(({ verdict }) => verdict),
      ["duplicate", "accepted"],
      "two acks",
    );
    equal((await tracker.status(id))?.state, "open", "with c missing");
    equal((await tracker.ack(id, "c")).ended, true, "the last task");
  }),
  aCase(
    "the end is delivered though the instance that counted it to zero is gone",
    { row: 8, needs: ["handlers", "clock"] },
    async (t) => {
      const id = t.id();
      const coordinator = t.coordinator();
      await t.bareTracker(coordinator).register(id, ["a"], { onComplete: { handler: "record", payload: 1 } });
      // This tracker has no handlers, and does nothing after the ack.
      await t.bareTracker(coordinator).ack(id, "a");
      await t.advance(0);
      t.tracker();
      await t.untilDelivered(id, 1, { stepMs: 10_000 });
      equal((await t.untilDelivery(id, "delivered")).delivery.attempts, 1, "attempts");
    },
  ),
  aCase("a callback that throws once is called again", { row: 9, needs: ["handlers", "clock"] }, async (t) => {
    const id = t.id();
    await t.tracker().register(id, 0, { onComplete: { handler: "flaky", payload: { failures: 1 } } });
    const seen = await t.untilDelivered(id, 2, { stepMs: STEP_MS });
    equal(
      seen.map(({ event }) => event.attempt),
      [1, 2],
      "the attempts",
    );
    equal(new Set(seen.map(({ event }) => event.deliveryId)).size, 1, "delivery ids");
    equal((await t.untilDelivery(id, "delivered")).state, "completed", "the group");
  }),
  aCase("a group that is missing is unknown, never complete", { row: 11, needs: ["clock"] }, async (t) => {
    const [tracker, id] = [t.tracker({ ttlSec: 60, timeoutSec: 60 }), t.id()];
    await tracker.register(id, 5, { onEnd: { handler: "nobody", payload: 1 } });
    // The callback waits a day for an instance with the handler, and is a dead letter for a week.
    await t.advance(121_000);
    await t.advance(86_400_000);
    equal((await tracker.status(id))?.delivery.state, "dead", "the delivery");
    await t.advance(604_800_000 + 60_000);
    equal(await tracker.status(id), null, "the status");
    equal(await tracker.decrement(id), null, "a decrement");
    equal((await tracker.ack(id, "a")).verdict, "early", "an ack");
    const wait = tracker.wait(id, { timeoutMs: 0 });
    wait.catch(() => {});
    await t.advance(0);
    equal(await wait, null, "a wait");
    await t.advance(0);
    equal((await t.deliveries(id)).length, 0, "deliveries");
  }),
  aCase(
    "a stray ack of an earlier registration takes nothing from the new one",
    { row: 13, needs: ["clock"] },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: 600 }), t.id()];
      const first = await tracker.register(id, 2, { timeoutSec: 0 });
      const old = { generation: first.generation };
      const second = await tracker.register(id, 2, { timeoutSec: 0, restart: { from: first.generation } });
      equal((await tracker.ack(id, "a", old)).verdict, "unknown", "after a restart");
      matches(await tracker.status(id), { generation: second.generation, remaining: 2 }, "the new group");
      await tracker.cancel(id, "enough");
      equal((await tracker.ack(id, "a", { generation: second.generation })).verdict, "cancelled", "the tombstone");
      await t.advance(601_000);
      equal((await tracker.ack(id, "a", old)).verdict, "unknown", "after the tombstone");
      equal((await tracker.register(id, 2)).remaining, 2, "the id, registered anew");
    },
  ),
  aCase("what a write makes has its end from the beginning", { row: 14, needs: ["clock"] }, async (t) => {
    const [c, id] = [t.coordinator(), t.id()];
    const tracker = t.tracker({ earlyTtlSec: 300, ttlSec: 600 });
    await tracker.ack(t.id("early"), "a");
    await tracker.register(t.id("open"), 2, { timeoutSec: 0 });
    await c.incr(id);
    await c.setIfAbsent(t.id("flag"), 300);
    await t.advance(601_000);
    equal((await tracker.register(t.id("early"), 1)).remaining, 1, "the early ack");
    equal((await tracker.status(t.id("open")))?.state, "timed_out", "the open group");
    await t.advance(Math.max(601_000, c.defaultTtlSec * 1_000 + 1_000));
    equal(await tracker.status(t.id("open")), null, "the open group, a TTL after its end");
    equal(await c.getInt(id), c.defaultTtlSec === 0 ? 1 : 0, "the raw key");
    equal(await c.setIfAbsent(t.id("flag"), 300), true, "the flag");
  }),
  aCase(
    "a straggler's ack after the record expired does not count in the next run",
    { row: 31, needs: ["clock"] },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: 600, earlyTtlSec: 300 }), t.id()];
      const { generation } = await tracker.register(id, 2, { timeoutSec: 0 });
      await tracker.ack(id, "a");
      await tracker.cancel(id, "enough");
      await t.advance(601_000);
      equal((await tracker.ack(id, "b", { generation })).verdict, "unknown", "with its generation");
      equal((await tracker.ack(id, "b")).verdict, "early", "without");
      await t.advance(301_000);
      matches(await tracker.register(id, 2), { state: "open", succeeded: 0, remaining: 2 }, "the next run");
    },
  ),
  aCase("a group ends when its count passes zero in one step", { row: 32 }, async (t) => {
    const tracker = t.tracker();
    await tracker.register(t.id("batch"), 2);
    const results = await tracker.ack(t.id("batch"), ["a", "b", "c"]);
    equal(
      results.map(({ verdict }) => verdict),
      ["accepted", "accepted", "late"],
      "a batch with one too many",
    );
    await tracker.ack(t.id("early"), ["a", "b", "c"]);
    matches(await tracker.register(t.id("early"), 2), { state: "completed", succeeded: 2 }, "a surplus of early acks");
    await tracker.register(t.id("by"), 3);
    await tracker.decrement(t.id("by"), 2);
    equal(await tracker.decrement(t.id("by"), 2), 0, "a decrement by more than remain");
    matches(await tracker.status(t.id("by")), { state: "completed", succeeded: 3, remaining: 0 }, "the group");
  }),
  aCase("a task that was never announced does not complete an open group", { row: 33 }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await tracker.register(id, ["parent"]);
    equal((await tracker.ack(id, "child")).verdict, "unknown", "the child");
    matches(await tracker.status(id), { state: "open", succeeded: 0, remaining: 1 }, "the group");
  }),
  aCase("a delayed copy of a restart changes nothing", { row: 34, needs: ["clock", "handlers"] }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const kept = { timeoutSec: 0, ttlSec: 604_800 } as const;
    const first = await tracker.register(id, 0, {
      onComplete: { handler: "flaky", payload: { failures: 1 } },
      ...kept,
    });
    await t.untilDelivered(id, 1);
    const options = {
      onComplete: { handler: "record", payload: 2 },
      restart: { from: first.generation },
      ...kept,
    } as const;
    const second = await t.tracker({ on: duplicating(t.coordinator()) }).register(id, ["a", "b"], options);
    await tracker.ack(id, "a");
    const copy = await t.tracker().register(id, ["a", "b"], options);
    matches(copy, { generation: second.generation, succeeded: 1, remaining: 1 }, "the copy");
    await tracker.ack(id, "b");
    matches(await tracker.register(id, ["a", "b"], options), { state: "completed", succeeded: 2 }, "after the end");
    const third = await tracker.register(id, ["c"], { ...options, restart: { from: second.generation } });
    await rejects(() => tracker.register(id, ["a", "b"], options), "conflict", "the copy, after another restart");
    equal((await tracker.status(id))?.generation, third.generation, "the group");
    const seen = await t.untilDelivered(id, 3, { stepMs: STEP_MS });
    equal(seen.map(({ handler }) => handler).sort(), ["flaky", "flaky", "record"], "every generation's delivery");
  }),
  aCase("the ack that ended a group gets the same answer when it is resent", { row: 35 }, async (t) => {
    const id = t.id();
    const lossy = t.tracker({ on: losingReplies(t.coordinator()) });
    await lossy.register(id, ["a", "b"]);
    equal((await lossy.ack(id, "a")).verdict, "accepted", "the first task");
    const last = await lossy.ack(id, "b");
    matches(last, { verdict: "accepted", ended: true, state: "completed", remaining: 0 }, "the last one");
    equal((await lossy.ack(id, "b")).verdict, "duplicate", "another call");
  }),
  aCase(
    "waking for an old delivery leaves the new deadline armed",
    { row: 36, needs: ["clock", "handlers"] },
    async (t) => {
      const tracker = t.tracker();
      const olds = {
        retried: { handler: "flaky", payload: { failures: 1 } },
        waiting: { handler: "nobody", payload: 1 },
      } as const;
      for (const [label, onComplete] of Object.entries(olds)) {
        const { generation } = await tracker.register(t.id(label), 0, { onComplete, ttlSec: 604_800 });
        await t.advance(0);
        const onTimeout = { handler: "record", payload: "deadline" } as const;
        const options = { onTimeout, timeoutSec: 7_200, restart: { from: generation }, ttlSec: 604_800 };
        await tracker.register(t.id(label), 1, options);
      }
      // No call reads the groups from here on: only timers run.
      await t.untilDelivered(t.id("retried"), 2, { stepMs: STEP_MS });
      await t.advance(7_200_000);
      for (const label of Object.keys(olds)) {
        const count = label === "retried" ? 3 : 1;
        const seen = await t.untilDelivered(t.id(label), count, { stepMs: 10_000 });
        matches(seen[count - 1]?.event, { type: "group.timed_out", payload: "deadline" }, `the deadline, ${label}`);
      }
    },
  ),
  aCase(
    "a record expires as a whole: a task acked again later counts for nothing else",
    { row: 37, needs: ["clock"] },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: 600, timeoutSec: 0 }), t.id()];
      await tracker.register(id, ["a", "b"], { metadata: "old" });
      await tracker.ack(id, { id: "a", result: "old" });
      // The group ends after one TTL, and is kept for another one, plus at most a quarter.
      await t.advance(1_351_000);
      matches(
        await tracker.register(id, ["a", "b"]),
        { succeeded: 0, remaining: 2, metadata: null },
        "registered anew",
      );
      equal((await tracker.results(id))?.items, [], "the results");
      equal((await tracker.ack(id, "a")).verdict, "accepted", "the task, acked again");
      matches(await tracker.status(id), { state: "open", succeeded: 1, remaining: 1 }, "the group");
    },
  ),
  aCase(
    "an open group outlives its deadline though its TTL is shorter",
    { row: 38, needs: ["clock", "handlers"] },
    async (t) => {
      const [tracker, id] = [t.tracker({ ttlSec: 60 }), t.id()];
      const onTimeout = { handler: "record", payload: 1 } as const;
      await tracker.register(id, ["a", "b"], { timeoutSec: 3_600, onTimeout });
      await t.advance(1_800_000);
      matches(await tracker.ack(id, "a"), { verdict: "accepted", remaining: 1 }, "an ack, long after the TTL");
      await t.advance(1_700_000);
      equal((await tracker.status(id))?.state, "open", "shortly before the deadline");
      await settle();
      const [first] = await t.untilDelivered(id, 1, { stepMs: 50_000, steps: 5 });
      equal(first?.event.type, "group.timed_out", "the deadline");
      isTrue(present(first, "the delivery").event.status.remaining === 1, "what remained");
    },
  ),
  aCase("a registration that fails in its middle leaves what was there as it was", { row: 42 }, async (t) => {
    const [tracker, id, c] = [t.tracker(), t.id(), t.coordinator()];
    // Fails late: the record is emptied, and the registration and a task are written before the second list fails.
    const broken = async (restart: { from?: number } | undefined) => {
      const lists = [JSON.stringify(["", "z"]), "not JSON"];
      const group = { fingerprint: "0".repeat(64), kind: "named", total: 0, lists, metadata: "1" } as const;
      const times = { timeoutMs: 60_000, ttlMs: 60_000 };
      const input = { op: crypto.randomUUID(), deliveryId: "d", ...group, ...times, ...(restart && { restart }) };
      const work = c.run("completion.register", id, input).then(() => "resolved");
      equal(await work.catch((error: { name: string }) => error.name), "CoordinationError", "the registration");
    };
    await tracker.ack(id, { id: "a", result: 1 });
    await broken(undefined);
    equal(await tracker.status(id), null, "an unknown group");
    const { generation } = await tracker.register(id, ["a", "b"], { metadata: "old" });
    await tracker.fail(id, "b", "broken");
    const before = present(await tracker.status(id), "the group");
    matches(before, { state: "completed", succeeded: 1, failed: 1 }, "its early ack was still there");
    await broken({ from: generation });
    equal(await tracker.status(id), before, "the group");
    equal((await tracker.results(id))?.items, [{ taskId: "a", stage: null, result: 1 }], "its results");
    equal((await tracker.ack(id, "a")).verdict, "duplicate", "its tasks");
  }),
];
