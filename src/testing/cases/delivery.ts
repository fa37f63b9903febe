import type { CompletionTracker } from "../../trackers/completion.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { type CasePayloads, caseHandlers } from "../recording.js";

const HANDLERS = { needs: ["handlers"] } as const;
const CLOCKED = { needs: ["handlers", "clock"] } as const;
const DRAINER = { needs: ["drainer", "clock"] } as const;

/** Longer than any pause between two attempts. */
const STEP_MS = 901_000;

/** Registers a group of one task, and ends it. */
async function ended(
  tracker: CompletionTracker<CasePayloads>,
  id: string,
  options: Parameters<CompletionTracker<CasePayloads>["register"]>[2],
): Promise<void> {
  await tracker.register(id, ["a"], { timeoutSec: 0, ttlSec: 604_800, ...options });
  await tracker.ack(id, "a");
}

export const delivery: readonly ConformanceCase[] = [
  aCase("the end of a group is delivered to its handler, with the status as it was", HANDLERS, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const payload = { user: "u1", list: [], nothing: null };
    await tracker.register(id, ["a", "b"], { onComplete: { handler: "record", payload }, metadata: [1] });
    await tracker.ack(id, [{ id: "a", error: "broken" }, "b"]);
    const [first] = await t.untilDelivered(id, 1);
    const event = present(first, "the delivery").event;
    matches(event, { type: "group.completed", attempt: 1, reason: null, payload }, "the event");
    matches(event.status, { groupId: id, state: "completed", ok: false, succeeded: 1, failed: 1 }, "its status");
    matches(event.status, { errors: [{ taskId: "a", stage: null, message: "broken" }], metadata: [1] }, "its status");
    const status = await t.untilDelivery(id, "delivered");
    equal(
      status.delivery,
      { state: "delivered", deliveryId: event.deliveryId, attempts: 1, lastError: null, nextAttemptAtMs: null },
      "settled",
    );
    equal((await t.deliveries(id)).length, 1, "deliveries");
  }),
  aCase("a delivery names the traces of the registration and of the ack that ended the group", HANDLERS, async (t) => {
    const [tracker, id, plain] = [t.tracker(), t.id(), t.id("plain")];
    const [registered, ended] = [
      `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
      `00-${"3".repeat(32)}-${"4".repeat(16)}-00`,
    ];
    const onEnd = { handler: "record", payload: 1 } as const;
    await tracker.register(id, ["a", "b"], { onEnd, traceparent: registered });
    await tracker.ack(id, "a", { traceparent: registered });
    await tracker.fail(id, "b", "broken", { traceparent: ended });
    equal((await t.untilDelivered(id, 1))[0]?.event.trace, { registered, ended }, "the traces");
    await tracker.register(plain, 1, { onEnd, traceparent: "no trace" });
    await tracker.decrement(plain);
    equal(
      (await t.untilDelivered(plain, 1))[0]?.event.trace,
      { registered: undefined, ended: undefined },
      "without a trace context",
    );
  }),
  aCase("an end without errors is delivered with an empty list of them", HANDLERS, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: null } });
    const [first] = await t.untilDelivered(id, 1);
    matches(first?.event.status, { errors: [], metadata: null, ok: true }, "the status");
    equal(first?.event.payload, null, "the payload");
  }),
  aCase("each end goes to its own target, onEnd takes the ends that have none", HANDLERS, async (t) => {
    const tracker = t.tracker();
    const onComplete = { handler: "record", payload: "complete" } as const;
    const onEnd = { handler: "record", payload: "end" } as const;
    await ended(tracker, t.id("own"), { onComplete, onEnd });
    await ended(tracker, t.id("end"), { onTimeout: { handler: "record", payload: "timeout" }, onEnd });
    await tracker.register(t.id("cancelled"), 1, { onComplete, onEnd });
    await tracker.cancel(t.id("cancelled"), "enough");
    await tracker.register(t.id("none"), 1, { onComplete });
    await tracker.cancel(t.id("none"), "enough");
    const payloadOf = async (id: string) => (await t.untilDelivered(id, 1))[0]?.event.payload;
    equal(await payloadOf(t.id("own")), "complete", "completed, with a target of its own");
    equal(await payloadOf(t.id("end")), "end", "completed, without one");
    equal(await payloadOf(t.id("cancelled")), "end", "cancelled");
    matches(
      (await t.deliveries(t.id("cancelled")))[0]?.event,
      { type: "group.cancelled", reason: "enough" },
      "the event",
    );
    equal((await tracker.status(t.id("none")))?.delivery.state, "none", "cancelled, with no target for it");
  }),
  aCase("a deadline is delivered without a call to the group", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const onTimeout = { handler: "record", payload: "slow" } as const;
    await tracker.register(id, ["a", "b"], { onTimeout, timeoutSec: 600 });
    await tracker.ack(id, "a");
    await t.advance(500_000);
    equal((await t.deliveries(id)).length, 0, "deliveries before the deadline");
    const [first] = await t.untilDelivered(id, 1, { stepMs: 101_000 });
    matches(first?.event, { type: "group.timed_out", payload: "slow" }, "the event");
    matches(first?.event.status, { state: "timed_out", remaining: 1, succeeded: 1 }, "its status");
  }),
  aCase("a handler that throws is called again under the same delivery id until it returns", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "flaky", payload: { failures: 3, message: "not yet" } } });
    const seen = await t.untilDelivered(id, 4, { stepMs: STEP_MS });
    equal(
      seen.map(({ event }) => event.attempt),
      [1, 2, 3, 4],
      "the attempts",
    );
    equal(new Set(seen.map(({ event }) => event.deliveryId)).size, 1, "delivery ids");
    const { delivery } = await t.untilDelivery(id, "delivered");
    matches(delivery, { attempts: 4, lastError: null }, "the delivery");
  }),
  aCase("a delivery outlives the seven attempts of a platform", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "flaky", payload: { failures: 10 } } });
    const { delivery } = await t.untilDelivery(id, "delivered", { stepMs: STEP_MS });
    equal(delivery.attempts, 11, "attempts");
  }),
  aCase("after its last attempt a delivery is a dead letter, and can be sent again", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "flaky", payload: { failures: 13, message: "down" } } });
    const dead = (await t.untilDelivery(id, "dead", { stepMs: STEP_MS })).delivery;
    matches(dead, { attempts: 12, lastError: "down" }, "the dead letter");
    await t.advance(STEP_MS);
    equal((await t.deliveries(id)).length, 12, "a dead letter stays where it is");
    const again = await tracker.redeliver(id);
    equal(again?.delivery.state, "pending", "redeliver");
    const done = (await t.untilDelivery(id, "delivered", { stepMs: STEP_MS })).delivery;
    equal(done, { ...dead, state: "delivered", attempts: 14, lastError: null }, "with a fresh allowance of attempts");
  }),
  aCase("redeliver repeats a delivery that succeeded, under the same id", HANDLERS, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    await t.untilDelivery(id, "delivered");
    await tracker.redeliver(id);
    const seen = await t.untilDelivered(id, 2);
    equal(new Set(seen.map(({ event }) => event.deliveryId)).size, 1, "delivery ids");
    equal((await t.untilDelivery(id, "delivered")).delivery.attempts, 2, "attempts");
  }),
  aCase("redeliver does nothing without a delivery", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const before = await tracker.register(id, 1);
    equal(await tracker.redeliver(id), before, "an open group");
    await tracker.ack(id, "a");
    equal((await tracker.redeliver(id))?.delivery.state, "none", "an ended group without a target");
  }),
  aCase("a delivery waits for its handler, and waiting costs no attempt", { row: 41, ...CLOCKED }, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "nobody", payload: 1 } });
    for (const stepMs of [0, 10_000, 100_000, 1_000_000]) {
      await t.advance(stepMs);
      matches((await tracker.status(id))?.delivery, { state: "pending", attempts: 0 }, `after ${stepMs} ms`);
    }
    const { delivery } = await t.untilDelivery(id, "dead", { stepMs: 3_600_000 });
    equal(delivery.attempts, 0, "attempts, a day later");
    isTrue(present(delivery.lastError, "the last error").length > 0, "it says why");
  }),
  aCase("handlers find the coordinator in their context", HANDLERS, async (t) => {
    const [tracker, id, key] = [t.tracker(), t.id(), t.id("key")];
    await ended(tracker, id, { onComplete: { handler: "counting", payload: { key } } });
    await t.untilDelivery(id, "delivered");
    equal(await t.coordinator().getInt(key), 1, "what the handler counted");
  }),
  aCase("a delivery that is pending when its group is restarted is still made", CLOCKED, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    await ended(tracker, id, { onComplete: { handler: "flaky", payload: { failures: 2 } }, metadata: "old" });
    await t.untilDelivered(id, 1);
    const old = present(await tracker.status(id), "the old group");
    const onComplete = { handler: "record", payload: "new" } as const;
    const restart = { from: old.generation };
    await tracker.register(id, ["a"], { onComplete, restart, timeoutSec: 0, ttlSec: 604_800, metadata: "new" });
    await tracker.ack(id, "a");
    const seen = await t.untilDelivered(id, 4, { stepMs: STEP_MS });
    const flaky = seen.filter(({ handler }) => handler === "flaky").map(({ event }) => event);
    const fresh = seen.filter(({ handler }) => handler === "record").map(({ event }) => event);
    equal(
      flaky.map(({ attempt }) => attempt),
      [1, 2, 3],
      "the old delivery's attempts",
    );
    equal(fresh.length, 1, "the new delivery's attempts");
    equal(
      flaky.map(({ status }) => [status.generation, status.metadata]),
      flaky.map(() => [old.generation, "old"]),
      "its status",
    );
    isTrue(flaky[0]?.deliveryId !== fresh[0]?.deliveryId, "they have ids of their own");
  }),
  aCase("a group with 16 undelivered generations refuses another", {}, async (t) => {
    const [tracker, id] = [t.tracker(), t.id()];
    const onComplete = { handler: "nobody", payload: 1 } as const;
    let { generation } = await tracker.register(id, 0, { onComplete });
    for (let i = 1; i < 16; i++) {
      generation = (await tracker.register(id, 0, { onComplete, restart: { from: generation } })).generation;
    }
    const restart = { from: generation };
    const error = await rejects(() => tracker.register(id, 0, { onComplete, restart }), "limit_exceeded", "the 17th");
    isTrue(error.retryable, "it may be tried again");
    matches(await tracker.status(id), { generation, state: "completed" }, "the group");
  }),
  aCase("an instance without the handler leaves the delivery to the one that has it", DRAINER, async (t) => {
    const [id, c] = [t.id(), t.coordinator()];
    t.bareTracker(c);
    const seen: string[] = [];
    // All on one coordinator: only the second tracker has the handler that the group names.
    const other = { other: () => {} } as never;
    t.tracker({ on: c, handlers: other });
    t.tracker({ on: c, handlers: caseHandlers(({ event }) => void seen.push(event.type)) });
    t.tracker({ on: c, handlers: other });
    await ended(t.bareTracker(c), id, { onComplete: { handler: "record", payload: 1 } });
    for (let i = 0; i < 3; i++) {
      await t.advance(0);
      await settle(2);
    }
    equal(seen, ["group.completed"], "delivered at once, without a pause for the ones that lack the handler");
  }),
];
