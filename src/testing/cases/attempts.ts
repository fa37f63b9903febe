import type { Claim } from "../../core/outbox/attempts.js";
import type { CompletionTracker } from "../../trackers/completion.js";
import { equal, isTrue, matches, present } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import type { CasePayloads } from "../recording.js";

const DRAINER = { needs: ["drainer", "clock"] } as const;
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

/** The attempts at a delivery, taken by a drainer of the case: leases, fencing tokens, pauses and dead letters. */
export const attempts: readonly ConformanceCase[] = [
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
