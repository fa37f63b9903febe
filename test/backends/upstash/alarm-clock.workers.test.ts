import { abortAllDurableObjects, reset, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AlarmClock, UpstashCoordinator } from "../../../src/backends/upstash/index.js";
import type { HandlerContext, HandlerEvent } from "../../../src/delivery/handler.js";
import { CoordinationError, MemoryCoordinator } from "../../../src/index.js";
import { newOp } from "../../../src/lib/ids.js";
import { seededRandom } from "../../../src/testing/index.js";
import { CompletionTracker } from "../../../src/trackers/completion.js";
import { bench, type TestDrainClock } from "../../support/test-worker.js";

const EVERY_MS = 15_000;
const HOUR_MS = 3_600_000;

let keyPrefix = "";
let beganAtMs = 0;

/**
 * Redis by a clock as far ahead as the objects', which runs on while theirs stands still: a server's time never goes back,
 * not even by the milliseconds that a request took.
 */
class BenchRedis extends UpstashCoordinator {
  constructor(token = env.UPSTASH_REDIS_REST_TOKEN) {
    super({ url: env.UPSTASH_REDIS_REST_URL, token, keyPrefix, keyLocking: false });
  }
  protected override clockSkewMs(): number {
    return (bench.frozenAtMs === undefined ? 0 : HOUR_MS) + bench.aheadMs;
  }
}

const lateness: number[] = [];

/** What the clock drains: Redis, with a handler that runs in the clock's object. */
function withHandlers(coordinator = new BenchRedis()): UpstashCoordinator {
  const handlers = {
    record: async (event: HandlerEvent, ctx: HandlerContext<Cloudflare.Env>) => {
      bench.deliveries.push(event);
      lateness.push(bench.now() - (event.status.deadlineAtMs ?? Number.NaN));
      await bench.handler?.(event, ctx);
    },
  };
  new CompletionTracker(coordinator, { handlers, env });
  return coordinator;
}

/** An owner that registers, and is gone. */
const owner = () => new CompletionTracker(new BenchRedis());
const record = { onEnd: { handler: "record" } };

beforeEach(() => {
  keyPrefix = `alarm-clock-${newOp()}:`;
  lateness.length = 0;
  // An hour ahead of the platform, so that no alarm rings before a test says so.
  beganAtMs = Date.now();
  bench.frozenAtMs = beganAtMs + HOUR_MS;
  bench.drains = { coordinator: () => withHandlers() };
});

afterEach(async () => {
  await reset();
  bench.reset();
});

/** By how much Redis' clock is ahead of the objects' by now. */
const driftMs = () => Date.now() - beganAtMs;

const stub = (name = "clock") => env.DRAIN_CLOCK.getByName(name);
const start = () => AlarmClock.start(env.DRAIN_CLOCK);

function inside<Result>(
  work: (object: TestDrainClock, state: DurableObjectState) => Result | Promise<Result>,
  name?: string,
): Promise<Result> {
  return runInDurableObject<TestDrainClock, Result>(stub(name), work);
}

/** In how many milliseconds the alarm rings; null: it does not. */
async function ringsInMs(name?: string): Promise<number | null> {
  const atMs = await inside((_, { storage }) => storage.getAlarm(), name);
  return atMs === null ? null : atMs - bench.now();
}

/** Rings at the instant at which the alarm stands, as the platform does. */
async function ring(): Promise<void> {
  bench.aheadMs += Math.max(0, (await ringsInMs()) ?? 0);
  expect(await runDurableObjectAlarm(stub())).toBe(true);
}

describe("an alarm clock", () => {
  it("ends and delivers a group whose owner died, sooner than its bound where it saw it coming", async () => {
    await owner().register("g", 2, { timeoutSec: 60, ...record });
    await start();
    for (let i = 0; i < 10 && bench.deliveries.length === 0; i++) await ring();
    expect(bench.deliveries).toMatchObject([{ type: "group.timed_out" }]);
    expect(lateness[0]).toBeLessThanOrEqual(driftMs());
    expect(await owner().status("g")).toMatchObject({ state: "timed_out", delivery: { state: "delivered" } });
  });

  it("is never later than its interval, whenever groups come and however soon they end", async () => {
    const random = seededRandom(3);
    await start();
    await ring();
    for (let i = 0; i < 40; i++) {
      // Registered somewhere between two alarms.
      const restMs = (await ringsInMs()) ?? 0;
      bench.aheadMs += Math.floor(restMs * random());
      await owner().register(`g${i}`, 1, { timeoutSec: 0.1 + random() * 40, ...record });
      if (random() < 0.7) await ring();
    }
    for (let i = 0; i < 20 && bench.deliveries.length < 40; i++) await ring();
    expect(lateness).toHaveLength(40);
    expect(Math.max(...lateness)).toBeLessThanOrEqual(EVERY_MS + driftMs());
    expect(Math.min(...lateness)).toBeGreaterThanOrEqual(-driftMs());
  });

  it("rings again after its interval when nothing is coming", async () => {
    await start();
    expect(await ringsInMs()).toBe(1);
    await ring();
    expect(await ringsInMs()).toBe(EVERY_MS);
  });

  it("goes on at once while something is left, and never at this very instant", async () => {
    bench.drains = { coordinator: () => withHandlers(), limit: 2 };
    for (let i = 0; i < 5; i++) await owner().register(`g${i}`, 1, { timeoutSec: 1, ...record });
    bench.aheadMs += 2_000;
    await start();
    await ring();
    expect(bench.deliveries).toHaveLength(2);
    expect(await ringsInMs()).toBe(1);
    await ring();
    expect(bench.deliveries).toHaveLength(4);
    expect(await ringsInMs()).toBe(1);
    await ring();
    expect(bench.deliveries).toHaveLength(5);
    expect(await ringsInMs()).toBe(EVERY_MS);
  });

  it("makes its coordinator once in the object's life", async () => {
    const make = vi.fn(() => withHandlers());
    bench.drains = { coordinator: make };
    await start();
    for (let i = 0; i < 5; i++) await ring();
    expect(make).toHaveBeenCalledTimes(1);
    expect(make).toHaveBeenCalledWith(expect.objectContaining({ UPSTASH_REDIS_REST_URL: expect.any(String) }));
  });

  it("survives the object: a new one rings where the last one stood", async () => {
    const make = vi.fn(() => withHandlers());
    bench.drains = { coordinator: make };
    await start();
    await ring();
    const standing = await ringsInMs();
    await abortAllDurableObjects();
    expect(await ringsInMs()).toBe(standing);
    await owner().register("g", 1, { timeoutSec: 1, ...record });
    await ring();
    expect(bench.deliveries).toHaveLength(1);
    expect(make).toHaveBeenCalledTimes(2);
  });

  it("rings soon in its next life when the object dies over its work", async () => {
    await owner().register("g", 1, { timeoutSec: 1, ...record });
    bench.aheadMs += 2_000;
    await start();
    const crash = await inside((_, state) => () => state.abort("crashed"));
    bench.handler = () => {
      crash();
      return new Promise(() => {});
    };
    await runDurableObjectAlarm(stub()).catch(() => {});
    expect(bench.deliveries).toHaveLength(1);
    expect(await ringsInMs()).toBe(10_000);
    bench.handler = undefined;
    // After the lease that died with it.
    for (let i = 0; i < 8 && bench.deliveries.length < 2; i++) await ring();
    expect(bench.deliveries).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
  });
});

describe("an alarm clock whose drains fail", () => {
  const unauthorized = () => new BenchRedis("no such token");

  it.each<[string, () => UpstashCoordinator, object]>([
    ["Redis refuses the token", unauthorized, { code: "unauthorized" }],
    [
      "the coordinator cannot be made",
      () => {
        throw new Error("no address");
      },
      { message: "no address" },
    ],
    ["there is none", () => undefined as never, { code: "misconfigured" }],
    ["it has no drain", () => new MemoryCoordinator() as never, { code: "unsupported" }],
  ])("goes on, and tells of it, when %s", async (_, broken, error) => {
    await start();
    await abortAllDurableObjects();
    let failures = 0;
    bench.drains = { coordinator: () => (failures++ < 20 ? broken() : withHandlers()) };
    await owner().register("g", 1, { timeoutSec: 1, ...record });
    for (let i = 1; i <= 12; i++) {
      await ring();
      expect(bench.events).toHaveLength(i);
      const pauseMs = await ringsInMs();
      expect(pauseMs).toBeGreaterThanOrEqual(1_000);
      expect(pauseMs).toBeLessThanOrEqual(EVERY_MS);
    }
    for (const event of bench.events) expect(event).toMatchObject({ type: "drain_failed", error });
    // A new version is deployed.
    await abortAllDurableObjects();
    failures = 100;
    await ring();
    expect(bench.deliveries).toHaveLength(1);
  });

  it("takes what a drain left undone as due: it does not ask without end", async () => {
    const drain = vi.fn(async () => ({ woken: 0, left: true, nextDueAtMs: bench.now() - 5 }));
    bench.drains = { coordinator: () => Object.assign(new MemoryCoordinator(), { drain }) };
    await start();
    for (let i = 0; i < 5; i++) {
      await ring();
      expect(await ringsInMs()).toBeGreaterThanOrEqual(1_000);
    }
  });

  it("goes on with fields that are out of range, once a minute", async () => {
    await start();
    await abortAllDurableObjects();
    bench.drains = { coordinator: () => withHandlers(), everyMs: 5 };
    await ring();
    expect(bench.events).toMatchObject([{ type: "drain_failed", error: { code: "invalid_input" } }]);
    expect(await ringsInMs()).toBe(60_000);
    await expect(start()).rejects.toMatchObject({ code: "invalid_input", message: expect.stringContaining("everyMs") });
  });
});

describe("starting an alarm clock", () => {
  it("twice does nothing", async () => {
    await start();
    await ring();
    const set = await inside((_, { storage }) => vi.spyOn(storage, "setAlarm"));
    await Promise.all(Array.from({ length: 5 }, start));
    expect(set).not.toHaveBeenCalled();
    expect(await ringsInMs()).toBe(EVERY_MS);
  });

  it("in the middle of a drain begins no second one", async () => {
    let ended = (): void => {};
    const drain = vi.fn(
      () =>
        new Promise<never>((_, reject) => {
          ended = () => reject(new Error("ended"));
        }),
    );
    bench.drains = { coordinator: () => Object.assign(new MemoryCoordinator(), { drain }) };
    await start();
    const ringing = runDurableObjectAlarm(stub());
    await expect.poll(() => drain).toHaveBeenCalledTimes(1);
    await start();
    expect(await ringsInMs()).toBe(10_000);
    await inside(() => ended());
    await ringing;
    expect(await ringsInMs()).toBe(1_000);
    expect(drain).toHaveBeenCalledTimes(1);
  });

  it("puts back an alarm that was lost", async () => {
    await start();
    await ring();
    await inside((_, { storage }) => storage.deleteAlarm());
    await start();
    expect(await ringsInMs()).toBe(1);
  });

  it("moves an alarm that an earlier version set far off, and none that waits as its backend asked", async () => {
    await start();
    await inside((_, { storage }) => storage.setAlarm(bench.now() + 86_400_000));
    await start();
    expect(await ringsInMs()).toBe(1);
    await inside((_, { storage }) => storage.setAlarm(bench.now() + 600_000));
    await start();
    expect(await ringsInMs()).toBe(600_000);
  });

  it("leaves other names alone", async () => {
    await AlarmClock.start(env.DRAIN_CLOCK, { name: "eu", locationHint: "weur" });
    expect(await ringsInMs("eu")).toBe(1);
    expect(await ringsInMs()).toBeNull();
    await AlarmClock.stop(env.DRAIN_CLOCK);
    expect(await ringsInMs("eu")).toBe(1);
    await AlarmClock.stop(env.DRAIN_CLOCK, { name: "eu" });
    expect(await ringsInMs("eu")).toBeNull();
  });

  it.each<[string, () => never, object]>([
    [
      "what the library's own errors say",
      () => {
        throw new CoordinationError("misconfigured", "no such database");
      },
      { code: "misconfigured", message: "no such database" },
    ],
    [
      "that it failed, and nothing of what others' errors hold",
      () => {
        throw new Error("canary-5f1c");
      },
      { code: "misconfigured", message: "coordinator(env) of the alarm clock failed" },
    ],
    ["that it has no drain", () => new MemoryCoordinator() as never, { code: "unsupported" }],
  ])("tells of a coordinator that cannot be drained: %s", async (_, coordinator, error) => {
    bench.drains = { coordinator };
    await expect(start()).rejects.toMatchObject({ name: "CoordinationError", ...error });
    expect(await ringsInMs()).toBeNull();
  });

  it("refuses what is no binding of one", async () => {
    await expect(AlarmClock.start(undefined as never)).rejects.toMatchObject({ code: "misconfigured" });
    const other = { idFromName: () => ({}), get: () => ({ fetch: async () => new Response("", { status: 200 }) }) };
    await expect(AlarmClock.start(other)).rejects.toMatchObject({ code: "misconfigured" });
    const cause = new Error("Network connection lost.");
    const lost = { idFromName: () => ({}), get: () => ({ fetch: () => Promise.reject(cause) }) };
    const error = { code: "backend_unavailable", retryable: true, applied: "unknown", cause };
    await expect(AlarmClock.start(lost)).rejects.toMatchObject(error);
  });

  it("takes a POST to /start alone", async () => {
    expect((await stub().fetch("https://clock/start")).status).toBe(405);
    expect((await stub().fetch("https://clock/", { method: "POST" })).status).toBe(404);
    expect(await ringsInMs()).toBeNull();
  });
});

describe("stopping an alarm clock", () => {
  it("keeps it from ringing, until it is started again", async () => {
    await start();
    await ring();
    await AlarmClock.stop(env.DRAIN_CLOCK);
    expect(await ringsInMs()).toBeNull();
    expect(await runDurableObjectAlarm(stub())).toBe(false);
    await AlarmClock.stop(env.DRAIN_CLOCK);
    await start();
    expect(await ringsInMs()).toBe(1);
  });

  it("holds in the middle of a drain, which still ends", async () => {
    await owner().register("g", 1, { timeoutSec: 1, ...record });
    bench.aheadMs += 2_000;
    await start();
    bench.handler = () => AlarmClock.stop(env.DRAIN_CLOCK);
    await ring();
    expect(await ringsInMs()).toBeNull();
    expect(await owner().status("g")).toMatchObject({ delivery: { state: "delivered" } });
  });
});

describe("by the platform's own clock", () => {
  it("rings by itself, and delivers within the interval and a drain", async () => {
    bench.frozenAtMs = undefined;
    bench.drains = { coordinator: () => withHandlers(), everyMs: 500 };
    await owner().register("g", 1, { timeoutSec: 0.7, ...record });
    await start();
    await expect.poll(() => bench.deliveries).toHaveLength(1);
    expect(lateness[0]).toBeGreaterThanOrEqual(0);
    // The interval, and what a busy machine adds.
    expect(lateness[0]).toBeLessThan(500 + 5_000);
    await AlarmClock.stop(env.DRAIN_CLOCK);
  });
});
