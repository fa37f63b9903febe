import type { Coordinator } from "../../coordinator.js";
import type { Claim, WokenInput } from "../../core/outbox/attempts.js";
import type { CoordinationError } from "../../errors.js";
import type { CoordinatorEvent } from "../../runtime/events.js";
import { RequestWaitTracker } from "../../trackers/request-wait.js";
import { equal, matches } from "../assert.js";
import { losingReplies, refusing } from "../faults.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";

const STEP_MS = 901_000;
const LEASE_MS = 60_000;
const RETRY = { maxAttempts: 9, baseDelayMs: 1_000, maxDelayMs: 8_000 };
const DRAINER = { needs: ["drainer", "clock"] } as const;

/** The work of a drainer on a claim. `inputs` are the drainer's calls so far. */
type Then = (claim: Claim, inputs: readonly WokenInput[]) => Promise<void>;

/** Ends a group of one task, and passes its delivery's claims to `then`. */
async function drained(t: Bench, on: Coordinator, then: Then): Promise<string> {
  const [id, inputs] = [t.id(), [] as WokenInput[]];
  on.onWake("completion", {
    input: () => {
      const input = { op: crypto.randomUUID(), routes: ["handler:record"], leaseMs: LEASE_MS, retry: RETRY };
      inputs.push(input);
      return input;
    },
    act: async (_, { claims }) => {
      for (const claim of claims) await then(claim, inputs);
    },
  });
  const tracker = t.bareTracker(on);
  await tracker.register(id, ["a"], { onComplete: { handler: "record", payload: 1 }, ttlSec: 604_800 });
  await tracker.ack(id, "a");
  return id;
}

/** Returns the claims of these calls of a drainer. */
async function leases(on: Coordinator, id: string, inputs: readonly WokenInput[]): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const input of inputs) claims.push(...(await on.run("completion.woken", id, input)).claims);
  return claims;
}

function settling(on: Coordinator, id: string, { key, fence }: Claim) {
  return on.run("completion.settle", id, { key, fence, retry: RETRY, random: 0.5 });
}

/** A receiver that makes the effect once for each delivery id. */
class Receiver {
  readonly effects = new Set<string>();
  calls = 0;

  receive({ deliveryId }: Claim): void {
    this.calls++;
    this.effects.add(deliveryId);
  }
}

/** A request that waits for the task `chunks`. */
async function waitingRequest(t: Bench) {
  const requests = new RequestWaitTracker(t.coordinator(), { stages: ["embed"], ttlSec: 604_800 });
  const requestId = t.id("request");
  await requests.register(requestId);
  await requests.add(requestId, "embed", "chunks");
  const wait = requests.wait(requestId, { timeoutMs: 86_400_000 });
  wait.catch(() => {});
  return { requests, requestId, wait };
}

/** Deliveries over a bad network: between a drainer and the group, or between a callback and a request. */
export const draining: readonly ConformanceCase[] = [
  aCase("a drainer whose every reply is lost, and resent, delivers once", { row: 5, ...DRAINER }, async (t) => {
    const [on, receiver, told] = [t.coordinator(), new Receiver(), [] as unknown[]];
    const lossy = losingReplies(on);
    const id = await drained(t, on, async (given, inputs) => {
      // The first reply is lost: the drainer uses the copies.
      const claims = await leases(lossy, t.id(), inputs);
      told.push(claims.map(({ deliveryId, attempt }) => deliveryId === given.deliveryId && attempt));
      for (const claim of claims) {
        receiver.receive(claim);
        told.push((await settling(lossy, t.id(), claim)).settled);
      }
    });
    await t.untilDelivery(id, "delivered", { stepMs: 10_000 });
    await t.advance(STEP_MS);
    equal(told, [[1], true], "the lease that it is given again, and its settlement");
    matches((await t.bareTracker().status(id))?.delivery, { state: "delivered", attempts: 1 }, "the delivery");
    equal([receiver.calls, receiver.effects.size], [1, 1], "calls, and effects");
  }),
  aCase(
    "drainers that hear nothing of their lease or of their settlement are followed by others, and the effect is made once",
    { row: 5, ...DRAINER },
    async (t) => {
      const [on, receiver, told, claims] = [t.coordinator(), new Receiver(), [] as unknown[], [] as Claim[]];
      const deaf = losingReplies(on, { resend: false });
      const id = await drained(t, on, async (claim, inputs) => {
        claims.push(claim);
        // No other drainer gets a claim during the lease.
        const others = inputs.map((input) => ({ ...input, op: crypto.randomUUID() }));
        told.push((await leases(on, t.id(), others)).length);
        // The first claim's reply is lost, the second's settlement is refused, the reply to the third's settlement is lost.
        if (claims.length === 1) return;
        receiver.receive(claim);
        const settled = settling(claims.length === 2 ? refusing(on) : deaf, t.id(), claim);
        told.push(await settled.catch(({ applied }: CoordinationError) => applied));
      });
      await t.untilDelivery(id, "delivered", { stepMs: LEASE_MS + 1_000 });
      await t.advance(STEP_MS);
      const attempts = claims.map(({ attempt }) => attempt);
      equal(
        [attempts, told],
        [
          [1, 2, 3],
          [0, 0, "no", 0, "unknown"],
        ],
        "the leases, and what they came to",
      );
      const late = claims.map(async (claim) => (await settling(on, id, claim)).settled);
      equal(await Promise.all(late), [false, false, true], "their settlements, once more");
      matches((await t.bareTracker().status(id))?.delivery, { state: "delivered", attempts: 3 }, "the delivery");
      equal([receiver.calls, receiver.effects.size], [2, 1], "calls, and effects");
    },
  ),
  aCase(
    "a tracker whose settlement is not confirmed says it again, and calls once",
    { row: 5, ...DRAINER },
    async (t) => {
      const id = t.id();
      const on = losingReplies(t.coordinator(), { transitions: ["completion.settle"], times: 1, resend: false });
      let tell = (_: CoordinatorEvent): void => {};
      const told = new Promise<CoordinatorEvent>((resolve) => {
        tell = resolve;
      });
      const tracker = t.tracker({ on, onEvent: (event) => tell(event) });
      await tracker.register(id, 0, { onComplete: { handler: "record", payload: 1 } });
      await t.untilDelivery(id, "delivered");
      matches(await told, { type: "delivery", attempt: 1, outcome: "delivered" }, "what its instance is told");
      equal((await t.deliveries(id)).length, 1, "calls");
      matches(
        (await tracker.status(id))?.delivery,
        { state: "delivered", attempts: 1, lastError: null },
        "the delivery",
      );
    },
  ),
  aCase(
    "a backend's fault inside a callback leaves no waiter behind",
    { row: 10, needs: ["handlers", "clock"] },
    async (t) => {
      const id = t.id();
      await t.tracker().register(id, 1, { onComplete: { handler: "unlucky", payload: { failures: 2 } } });
      const wait = t.tracker().wait(id, { timeoutMs: 86_400_000 });
      await t.tracker().ack(id, "a");
      equal((await wait)?.state, "completed", "the wait, before the callback has succeeded");
      const { delivery } = await t.untilDelivery(id, "delivered", { stepMs: STEP_MS });
      equal(delivery.attempts, 3, "attempts");
    },
  ),
  aCase(
    "a request whose task a callback acks completes although the backend refuses the ack at first",
    { row: 10, needs: ["handlers", "clock"] },
    async (t) => {
      const [{ requests, requestId, wait }, id] = [await waitingRequest(t), t.id()];
      const failures = 2;
      const onComplete = { handler: "marking", payload: { requestId, failures } } as const;
      await t.tracker().register(id, ["a"], { onComplete, ttlSec: 604_800 });
      await t.tracker().ack(id, "a");
      await t.untilDelivered(id, 1);
      const state = (await requests.status(requestId))?.state;
      // The pause between two attempts may be short: the attempt that acks may have begun.
      const isRefused = (await t.deliveries(id)).length <= failures;
      if (isRefused) equal(state, "pending", "the request, after a refusal");
      const { delivery } = await t.untilDelivery(id, "delivered", { stepMs: STEP_MS });
      equal(delivery.attempts, 3, "attempts");
      matches((await wait)?.stages.embed, { processed: 1, errorCount: 0 }, "what the waiter receives");
    },
  ),
  aCase(
    "a request that a group holds up completes although the backend refuses the ack at first, or loses its reply",
    { row: 10, ...DRAINER },
    async (t) => {
      const [{ requestId, wait }, id] = [await waitingRequest(t), t.id()];
      const plan = { transitions: ["request.ack"], times: 2 } as const;
      // The third ack is applied and its reply is lost. The fourth reads that it was applied.
      const lossy = losingReplies(t.coordinator(), { ...plan, times: 1, resend: false });
      const tracker = t.tracker({ on: refusing(lossy, plan) });
      const onEnd = { task: { requestId, stage: "embed", taskId: "chunks" } } as const;
      await tracker.register(id, ["a"], { onEnd, ttlSec: 604_800 });
      await tracker.ack(id, "a");
      // Read with the same tracker: another instance could ack the task itself, over a network without faults.
      const { delivery } = await t.untilDelivery(id, "delivered", { stepMs: STEP_MS, reader: tracker });
      matches(delivery, { attempts: 4, lastError: null }, "the delivery");
      matches((await wait)?.stages.embed, { processed: 1, errorCount: 0 }, "what the waiter receives");
    },
  ),
];
