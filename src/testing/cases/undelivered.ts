import type { Coordinator } from "../../coordinator.js";
import type { Claim, Notice, WokenInput } from "../../core/outbox/attempts.js";
import type { RetryPolicy } from "../../lib/backoff.js";
import type { CoordinatorEvent } from "../../runtime/events.js";
import { equal, isTrue, matches, present } from "../assert.js";
import { aCase, type Bench, type ConformanceCase } from "../harness.js";
import { settle } from "../manual-clock.js";
import type { CasePayloads } from "../recording.js";

const DRAINER = { needs: ["drainer", "clock"] } as const;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Each attempt an hour after the last one, for longer than a day. */
const HOURLY = { maxAttempts: 100, baseDelayMs: HOUR_MS, maxDelayMs: HOUR_MS };

/** The only drainer; `routes` is what it can deliver now. Every attempt fails, or is never settled when `isSilent`. */
class Drainer {
  routes: string[] = ["handler:record"];
  leaseMs = 60_000;
  retry: RetryPolicy = HOURLY;
  isSilent = false;
  readonly inputs: WokenInput[] = [];
  readonly claims: Claim[] = [];
  readonly notices: Notice[] = [];
  readonly #coordinator: Coordinator;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
    coordinator.onWake("completion", {
      input: () => {
        const { routes, leaseMs, retry } = this;
        const input = { op: crypto.randomUUID(), routes, leaseMs, retry };
        this.inputs.push(input);
        return input;
      },
      act: async (id, { claims, notices = [] }) => {
        this.claims.push(...claims);
        this.notices.push(...notices);
        if (!this.isSilent) for (const claim of claims) await this.#fail(id, claim);
      },
    });
  }

  async #fail(id: string, { key, fence }: Claim): Promise<void> {
    const input = { key, fence, retry: HOURLY, random: 1, error: "the attempt's own" };
    await this.#coordinator.run("completion.settle", id, input);
  }
}

/** Registers a group without tasks, which ends at once. */
async function ended(t: Bench, on: Coordinator, handler = "record"): Promise<string> {
  const id = t.id();
  const onEnd = handler === "url" ? { url: "https://a.example/" } : ({ handler, payload: 1 } as const);
  await t.bareTracker(on).register(id, 0, { onEnd: onEnd as never, ttlSec: 604_800 });
  return id;
}

async function passing(t: Bench, ms: number, stepMs: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    await t.advance(stepMs);
    await settle(1);
  }
}

async function deliveryOf(t: Bench, id: string) {
  return present(await t.bareTracker().status(id), "the group").delivery;
}

/** Collects the events about a group's delivery. */
function hearing() {
  const events: CoordinatorEvent[] = [];
  const outcomes = (): string[] => events.flatMap((event) => (event.type === "delivery" ? event.outcome : event.type));
  return { events, outcomes, onEvent: (event: CoordinatorEvent) => void events.push(event) };
}

/** Deliveries whose handler is missing, and the events about dead letters. */
export const undelivered: readonly ConformanceCase[] = [
  aCase(
    "the day of a missing handler counts from the first drain that lacks it, and each claim ends that count",
    { row: 44, ...DRAINER },
    async (t) => {
      const on = t.coordinator();
      const drainer = new Drainer(on);
      const id = await ended(t, on);
      await passing(t, DAY_MS + HOUR_MS, HOUR_MS);
      const tried = drainer.claims.length;
      isTrue(tried > 20, `more than a day of attempts: ${tried}`);

      drainer.routes = [];
      await t.advance(2 * HOUR_MS);
      const waiting = { state: "pending", attempts: tried, lastError: "the attempt's own" };
      matches(await deliveryOf(t, id), waiting, "after one drain without the handler");
      await passing(t, DAY_MS - 2 * HOUR_MS, HOUR_MS);
      matches(await deliveryOf(t, id), waiting, "after most of a day of them");

      drainer.routes = ["handler:record"];
      await t.advance(HOUR_MS);
      equal(drainer.claims.length, tried + 1, "claims, once the handler is back");
      drainer.routes = [];
      await passing(t, DAY_MS, HOUR_MS);
      matches(await deliveryOf(t, id), { state: "pending", attempts: tried + 1 }, "less than a day after that claim");
      await passing(t, 3 * HOUR_MS, HOUR_MS);
      const dead = { state: "dead", attempts: tried + 1, lastError: "the attempt's own" };
      matches(await deliveryOf(t, id), dead, "a day of drains without the handler, in a row");
    },
  ),
  aCase(
    "a delivery that no drain looks at for more than a day waits for the first that does, whatever it lacks",
    { row: 44, ...DRAINER },
    async (t) => {
      const on = t.coordinator();
      const drainer = new Drainer(on);
      // The drainer crashes during its lease. Until the lease is over, no drainer reads the delivery.
      Object.assign(drainer, { leaseMs: DAY_MS + HOUR_MS, isSilent: true });
      const id = await ended(t, on);
      await t.advance(0);
      await settle(2);
      equal(drainer.claims.length, 1, "claims");
      drainer.routes = [];
      await t.advance(DAY_MS + 2 * HOUR_MS);
      const { state, attempts, lastError } = await deliveryOf(t, id);
      matches({ state, attempts }, { state: "pending", attempts: 1 }, "after the first drain without the handler");
      isTrue(present(lastError, "the reason").includes("handler:record"), `it says what is missing: ${lastError}`);
      drainer.routes = ["handler:record"];
      await t.advance(HOUR_MS);
      await settle(2);
      equal(drainer.claims.length, 2, "claims, once the handler is back");
    },
  ),
  ...(["nobody", "url"] as const).map((target) =>
    aCase(
      `a delivery without its ${target === "url" ? "sender of webhooks" : "handler"} is reported at once, then once an hour, and when it is given up`,
      { row: 48, ...DRAINER },
      async (t) => {
        const on = t.coordinator();
        const { events, outcomes, onEvent } = hearing();
        t.tracker({ on, onEvent });
        const id = await ended(t, on, target);
        await t.advance(0);
        await settle(2);
        equal(outcomes(), ["unhandled"], "what is heard at once");
        const missing =
          target === "url" ? "no running instance sends webhooks" : "no running instance has handler:nobody";
        matches(events[0], { type: "delivery", id, attempt: 0, error: missing }, "the event");
        await passing(t, HOUR_MS - 600_000, 300_000);
        equal(outcomes(), ["unhandled"], "what is heard within the hour");
        await passing(t, 4 * HOUR_MS, 300_000);
        isTrue(outcomes().length >= 4 && outcomes().length <= 6, `once an hour: ${outcomes()}`);

        await t.untilDelivery(id, "dead", { stepMs: HOUR_MS });
        await settle(2);
        const heard = outcomes();
        equal(heard.filter((outcome) => outcome === "dead").length, 1, "how often its death is heard");
        equal(heard.at(-1), "dead", "what is heard last");
        matches(events.at(-1), { id, attempt: 0, error: missing }, "the last event");
        await passing(t, DAY_MS, 6 * HOUR_MS);
        equal(outcomes().length, heard.length, "events about a dead letter");
      },
    ),
  ),
  aCase("a delivery whose attempts are spent is reported as dead, once", { row: 48, ...DRAINER }, async (t) => {
    const on = t.coordinator();
    const { events, outcomes, onEvent } = hearing();
    const retry = { maxAttempts: 2, baseDelayMs: 0, maxDelayMs: 0 };
    const tracker = t.tracker({ on, onEvent, retry });
    const id = t.id();
    await tracker.register(id, 0, { onEnd: { handler: "flaky", payload: { failures: 9, message: "down" } } });
    await t.untilDelivery(id, "dead", { stepMs: 1_000 });
    await settle(2);
    equal(outcomes(), ["retry", "dead"], "what is heard");
    matches(events.at(-1), { id, attempt: 2, error: "down" }, "the last event");
  }),
  aCase(
    "a delivery whose attempts never report back is reported as dead, to a copy of that drain too",
    { row: 48, ...DRAINER },
    async (t) => {
      const on = t.coordinator();
      const drainer = new Drainer(on);
      Object.assign(drainer, { retry: { ...HOURLY, maxAttempts: 1 }, isSilent: true });
      const id = await ended(t, on);
      await t.advance(0);
      await settle(2);
      equal([drainer.claims.length, drainer.notices.length], [1, 0], "claims and notices");
      await t.advance(61_000);
      await settle(2);
      const why = "the last attempt never reported back";
      equal(drainer.notices.length, 1, "notices, once the lease is over");
      matches(drainer.notices[0], { outcome: "dead", route: "handler:record", attempt: 1, error: why }, "the notice");
      matches(await deliveryOf(t, id), { state: "dead", attempts: 1, lastError: why }, "the delivery");
      const copy = await on.run("completion.woken", id, present(drainer.inputs.at(-1), "the drain"));
      equal(copy.notices, drainer.notices, "what a copy of the drain is told");
      equal((await on.run("completion.woken", id, { op: t.id("other") })).notices, undefined, "and another drain");
    },
  ),
  aCase(
    "what a handler throws stays out of the status, unless it is a CoordinationError",
    { row: 50, needs: ["handlers", "clock"] },
    async (t) => {
      const tracker = t.tracker();
      const lastErrorOf = async (label: string, payload: CasePayloads["leaking"]): Promise<unknown> => {
        const id = t.id(label);
        await tracker.register(id, 0, { onEnd: { handler: "leaking", payload } });
        const status = await t.untilDelivery(id, "dead", { stepMs: 901_000 });
        isTrue(!JSON.stringify(status).includes("s3cret"), "the status does not hold the text");
        return status.delivery.lastError;
      };
      equal(await lastErrorOf("error", { as: "Error" }), "the handler failed", "an Error");
      equal(await lastErrorOf("text", { as: "text" }), "the handler failed", "a text");
      equal(await lastErrorOf("shown", { as: "CoordinationError" }), "the index is read-only", "one that may be shown");
    },
  ),
];
