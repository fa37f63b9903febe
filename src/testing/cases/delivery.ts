import type { Claim } from "../../core/outbox/attempts.js";
import type { CompletionTracker } from "../../trackers/completion.js";
import { equal, isTrue, matches, present, rejects } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import { type CasePayloads, caseHandlers } from "../recording.js";

const HANDLERS = { needs: ["handlers"] } as const;
const CLOCKED = { needs: ["handlers", "clock"] } as const;
const DRAINER = { needs: ["drainer", "clock"] } as const;

/** Longer than any pause between two attempts. */
const STEP_MS = 901_000;
const RETRY = { maxAttempts: 3, baseDelayMs: 1_000, maxDelayMs: 8_000 };

/** Registers a group of one task, and ends it. */
async function ended(
  tracker: CompletionTracker<CasePayloads>,
  id: string,
  options: Parameters<CompletionTracker<CasePayloads>["register"]>[2],
): Promise<void> {
  await tracker.register(id, ["a"], { timeoutSec: 0, ttlSec: 604_800, ...options });
  await tracker.ack(id, "a");
}

/** A drainer that claims deliveries for `record` and then crashes: it never settles a claim. */
function dyingDrainer(t: Bench, { leaseMs = 60_000, retry = RETRY } = {}) {
  const coordinator = t.coordinator();
  const claims: Claim[] = [];
  coordinator.onWake("completion", {
    input: () => ({ routes: ["handler:record"], leaseMs, retry }),
    act: async (_, output) => void claims.push(...output.claims),
  });
  const tracker = t.bareTracker(coordinator);
  let seen = 0;
  const none = async (ms: number): Promise<void> => {
    await t.advance(ms);
    await settle(2);
    equal(claims.length, seen, `claims, ${ms} ms later`);
  };
  /** Advances the clock and returns the one claim that results. */
  const next = async (ms: number): Promise<Claim> => {
    seen++;
    await none(ms);
    return present(claims[seen - 1], "the claim");
  };
  return { tracker, next, none };
}

function settling(t: Bench, id: string, { key, fence }: Claim, error?: string) {
  const input = { key, fence, retry: RETRY, random: 0.5, ...(error === undefined ? {} : { error }) };
  return t.coordinator().run("completion.settle", id, input);
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
    matches(event.status, { errors: [{ taskId: "a", message: "broken" }], metadata: [1] }, "its status");
    const status = await t.untilDelivery(id, "delivered");
    equal(
      status.delivery,
      { state: "delivered", deliveryId: event.deliveryId, attempts: 1, lastError: null, nextAttemptAtMs: null },
      "settled",
    );
    equal((await t.deliveries(id)).length, 1, "deliveries");
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
    equal(done, { ...dead, state: "delivered", attempts: 14 }, "with a fresh allowance of attempts");
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
  aCase("a drainer that died after its claim is followed by another once the lease is over", DRAINER, async (t) => {
    const [{ tracker, next, none }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const first = await next(0);
    equal(first.attempt, 1, "the attempt");
    matches((await tracker.status(id))?.delivery, { state: "pending", attempts: 1 }, "stored before it is sent");
    await none(0);
    await none(50_000);
    const second = await next(11_000);
    matches(second, { attempt: 2, deliveryId: first.deliveryId, snapshot: first.snapshot }, "the next claim");
  }),
  aCase("of two claims only the newer one settles", DRAINER, async (t) => {
    const [{ tracker, next }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const [first, second] = [await next(0), await next(61_000)];
    equal((await settling(t, id, first)).settled, false, "the first, which succeeded");
    equal((await settling(t, id, first, "too slow")).settled, false, "the first, which failed");
    matches(
      (await tracker.status(id))?.delivery,
      { state: "pending", attempts: 2, lastError: null },
      "nothing changed",
    );
    equal((await settling(t, id, second)).settled, true, "the second");
    equal((await settling(t, id, second, "late")).settled, false, "the second, again");
    matches((await tracker.status(id))?.delivery, { state: "delivered", attempts: 2, lastError: null }, "the delivery");
  }),
  aCase("an attempt that has failed gets the same answer again, and settles nothing more", DRAINER, async (t) => {
    const [{ tracker, next }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const claim = await next(0);
    equal((await settling(t, id, claim, "broken")).settled, true, "the failure");
    equal((await settling(t, id, claim, "broken")).settled, true, "the failure, resent");
    equal((await settling(t, id, claim)).settled, false, "a success of the same attempt");
    matches(
      (await tracker.status(id))?.delivery,
      { state: "pending", attempts: 1, lastError: "broken" },
      "the delivery",
    );
  }),
  aCase("an attempt from before a redelivery settles nothing of it", DRAINER, async (t) => {
    const [{ tracker, next }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const claim = await next(0);
    await settling(t, id, claim);
    await tracker.redeliver(id);
    equal((await settling(t, id, claim)).settled, false, "the success, resent");
    equal((await tracker.status(id))?.delivery.state, "pending", "the redelivery");
    equal((await next(0)).attempt, 2, "its attempt");
  }),
  aCase("redeliver leaves an attempt alone that is under way", DRAINER, async (t) => {
    const [{ tracker, next, none }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const claim = await next(0);
    await tracker.redeliver(id);
    await none(0);
    equal((await settling(t, id, claim)).settled, true, "it settles");
  }),
  aCase(
    "a claim that is handed back unsent spends no attempt, and is made again",
    { row: 43, ...DRAINER },
    async (t) => {
      const [{ tracker, next, none }, id] = [dyingDrainer(t), t.id()];
      await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
      const first = await next(0);
      const { key, fence } = first;
      const input = { key, fence, retry: RETRY, random: 0.5, handedBackMs: 30_000 };
      equal((await t.coordinator().run("completion.settle", id, input)).settled, true, "the claim, handed back");
      const delivery = { state: "pending", attempts: 0, lastError: null };
      matches((await tracker.status(id))?.delivery, delivery, "the delivery");
      equal((await t.coordinator().run("completion.settle", id, input)).settled, false, "handed back again");
      equal((await settling(t, id, first)).settled, false, "a success of what was handed back");
      matches((await tracker.status(id))?.delivery, delivery, "the delivery, unchanged");
      await none(20_000);
      // During the pause, a drainer with the handler may claim it. One without the handler does not.
      const lacking = await t.coordinator().run("completion.woken", id, { routes: [], retry: RETRY });
      const able = { routes: ["handler:record"], leaseMs: 60_000, retry: RETRY };
      const early = await t.coordinator().run("completion.woken", id, able);
      equal([lacking.claims.length, early.claims.length], [0, 1], "claims before its time");
      const again = { ...input, fence: present(early.claims[0], "the claim").fence };
      equal((await t.coordinator().run("completion.settle", id, again)).settled, true, "that claim, handed back");
      await none(20_000);
      const last = await next(11_000);
      matches(last, { attempt: 1, deliveryId: first.deliveryId }, "the next claim");
      equal((await settling(t, id, last, "broken")).settled, true, "it settles, and is over");
      const late = await t.coordinator().run("completion.woken", id, able);
      equal(late.claims.length, 0, "claims before the next attempt is due");
    },
  ),
  aCase("attempts that never report back end in a dead letter", DRAINER, async (t) => {
    const [{ tracker, next, none }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    for (const attempt of [1, 2, 3]) equal((await next(attempt === 1 ? 0 : 61_000)).attempt, attempt, "the attempt");
    await none(61_000);
    const { delivery } = present(await tracker.status(id), "the group");
    matches(delivery, { state: "dead", attempts: 3 }, "the delivery");
    isTrue(present(delivery.lastError, "the last error").length > 0, "it says why");
  }),
  aCase("the pause before the next attempt is a part of a ceiling that doubles", DRAINER, async (t) => {
    const retry = { maxAttempts: 9, baseDelayMs: 100_000, maxDelayMs: 400_000 };
    const [{ tracker, next, none }, id] = [dyingDrainer(t, { leaseMs: 3_600_000, retry }), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const failing = ({ key, fence }: Claim, more: object) => {
      const input = { key, fence, retry, random: 0.5, error: "broken", ...more };
      return t.coordinator().run("completion.settle", id, input);
    };
    let claim = await next(0);
    for (const ceilingMs of [100_000, 200_000, 400_000, 400_000]) {
      await failing(claim, {});
      await none(ceilingMs / 2 - 20_000);
      claim = await next(21_000);
    }
    await failing(claim, { random: 0, notBeforeMs: 500_000 });
    await none(480_000);
    await next(21_000);
  }),
  aCase("a receiver that refuses for good makes a dead letter at once", DRAINER, async (t) => {
    const [{ tracker, next, none }, id] = [dyingDrainer(t), t.id()];
    await ended(tracker, id, { onComplete: { handler: "record", payload: 1 } });
    const { key, fence } = await next(0);
    const input = { key, fence, retry: RETRY, random: 0.5, error: "gone", final: true };
    await t.coordinator().run("completion.settle", id, input);
    matches((await tracker.status(id))?.delivery, { state: "dead", attempts: 1, lastError: "gone" }, "the delivery");
    await none(61_000);
  }),
];
