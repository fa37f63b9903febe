import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { reached } from "../support/figures.js";
import { alarmOf, bench, crash, groupObject, inside, makeTracker, resetAll } from "../support/test-worker.js";

const HOUR_MS = 3_600_000;
/** The platform runs a failing alarm seven times, and then drops it. */
const FAILURES = 10;
const tracker = makeTracker();
const record = { handler: "record" };
const call = { handler: "call" };

beforeEach(() => {
  // An hour ahead of the platform, so that no alarm rings before a test says so.
  bench.frozenAtMs = Date.now() + HOUR_MS;
});
afterEach(resetAll);

function pass(ms: number): void {
  bench.aheadMs += ms;
}

/** The group's object: a reference to one that has died would stay broken. */
const object = () => groupObject("g");

/** Has the object's alarm ring at the time for which it is set; false when none is. */
async function ringInTime(): Promise<boolean> {
  const stub = object();
  const atMs = await alarmOf(stub);
  if (atMs === null) return false;
  pass(Math.max(0, atMs - bench.now()));
  return runDurableObjectAlarm(stub);
}

/** What of the storage fails while the alarm rings. */
const BROKEN = {
  "every statement": "exec",
  "every look at what has expired": "SELECT name FROM records WHERE until",
  "every look at what is due": "SELECT name FROM records WHERE wake",
  "every look at the next instant": "SELECT count(*)",
  "every write of a record": "INSERT INTO records",
} as const;

/** Has statements that begin with the text fail, in this life of the object, until the function that comes back is called. */
async function breakStorage(start: string): Promise<() => Promise<void>> {
  await inside(object(), (_, { storage: { sql } }) => {
    const exec = sql.exec.bind(sql);
    const failing = (...args: Parameters<typeof sql.exec>) => {
      if (start === "exec" || args[0].startsWith(start)) throw new Error("the storage fails");
      return exec(...args);
    };
    Object.defineProperty(sql, "exec", { value: failing, configurable: true });
  });
  return () => inside(object(), (_, { storage }) => void Reflect.deleteProperty(storage.sql, "exec"));
}

describe("an alarm that throws ten times in a row", () => {
  it.each(Object.entries(BROKEN))("still stands, and delivers once storage is back: %s failed", async (_, start) => {
    await tracker.register("g", ["a"], { onComplete: record, ttlSec: 86_400 });
    await tracker.ack("g", "a");
    const mend = await breakStorage(start);
    for (let i = 0; i < FAILURES; i++) {
      // It resolves: the platform, which counts failures, sees none.
      expect(await ringInTime(), `alarm ${i + 1}`).toBe(true);
    }
    expect(bench.events.length).toBeGreaterThanOrEqual(FAILURES);
    await mend();
    expect(await ringInTime()).toBe(true);
    expect(await tracker.status("g")).toMatchObject({ delivery: { state: "delivered", attempts: 1 } });
    expect(bench.deliveries).toHaveLength(1);
  });

  it("is there for a deadline too, whatever failed before it", async ({ task }) => {
    await tracker.register("g", ["a"], { onTimeout: call, timeoutSec: 60, ttlSec: 86_400 });
    const mend = await breakStorage("exec");
    for (let i = 0; i < FAILURES; i++) expect(await ringInTime()).toBe(true);
    await mend();
    bench.handler = () => {
      throw new Error("the handler fails");
    };
    for (let i = 0; i < FAILURES; i++) expect(await ringInTime()).toBe(true);
    bench.handler = undefined;
    expect(await ringInTime()).toBe(true);
    const delivery = { state: "delivered", attempts: FAILURES + 1 };
    expect(await tracker.status("g")).toMatchObject({ state: "timed_out", delivery });
    expect(new Set(bench.deliveries.map(({ deliveryId }) => deliveryId)).size).toBe(1);
    reached(task, {
      row: "T6",
      backend: "durable-object",
      reached: `${FAILURES} alarms over failing storage and ${FAILURES} failing attempts in a row, then delivered`,
    });
  });

  it("is set again by the next call, after the object died each time and the platform gave up", async () => {
    await tracker.register("g", ["a"], { onComplete: call });
    await tracker.ack("g", "a");
    bench.handler = () => new Promise(() => {});
    for (let i = 0; i < FAILURES; i++) {
      await inside(object(), (life) => void life.alarm());
      await crash(object());
      pass(HOUR_MS / 2);
    }
    await inside(object(), (_, { storage }) => storage.deleteAlarm());
    await abortAllDurableObjects();
    bench.handler = undefined;
    const { state } = (await tracker.status("g")) ?? {};
    expect(state).toBe("completed");
    expect(await alarmOf(object())).toBe(bench.now() + 1);
    while ((await tracker.status("g"))?.delivery.state === "pending") expect(await ringInTime()).toBe(true);
    expect(await tracker.status("g")).toMatchObject({ delivery: { state: "delivered" } });
    expect(new Set(bench.deliveries.map(({ deliveryId }) => deliveryId)).size).toBe(1);
  });
});

describe("a duplicate alarm", () => {
  it("delivers once, whether its copy comes at the same time, in the middle of the attempt or afterwards", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    bench.handler = () => gate;
    await tracker.register("g", ["a"], { onComplete: call });
    await tracker.ack("g", "a");
    await inside(object(), async (life) => {
      const alarms = [life.alarm(), life.alarm()];
      await Promise.resolve();
      alarms.push(life.alarm());
      // What one of them waits for belongs to this very request.
      release();
      await Promise.all(alarms);
      await Promise.all([life.alarm(), life.alarm()]);
    });
    expect(bench.deliveries).toHaveLength(1);
    expect(await tracker.status("g")).toMatchObject({ delivery: { state: "delivered", attempts: 1 } });
    // And what stands is the one instant that is left: the end of the record.
    expect(await alarmOf(object())).toBe(bench.now() + HOUR_MS);
  });

  it("of a life that is over finds nothing to do in the next one", async () => {
    await tracker.register("g", ["a"], { onComplete: record });
    await tracker.ack("g", "a");
    expect(await ringInTime()).toBe(true);
    await abortAllDurableObjects();
    await inside(object(), (life) => Promise.all([life.alarm(), life.alarm()]));
    expect(bench.deliveries).toHaveLength(1);
  });
});

describe("a lost alarm", () => {
  const readers: Record<string, () => Promise<unknown>> = {
    "a status": () => tracker.status("g"),
    "an ack that counts for nothing": () => tracker.ack("g", "nobody"),
    "a wait that ends before it": () => tracker.wait("g", { timeoutMs: 1 }).catch(() => {}),
  };

  it.each(Object.entries(readers))("is put back by the next call of a new life: %s", async (_, read) => {
    const { deadlineAtMs } = await tracker.register("g", ["a"], { onTimeout: record, timeoutSec: 60 });
    await inside(object(), (_life, { storage }) => storage.deleteAlarm());
    await abortAllDurableObjects();
    await read();
    expect(await alarmOf(object())).toBe(deadlineAtMs);
    expect(await ringInTime()).toBe(true);
    expect(bench.deliveries).toMatchObject([{ type: "group.timed_out" }]);
  });

  it("does not keep an end from being delivered in the same life", async () => {
    await tracker.register("g", ["a"], { onComplete: record, timeoutSec: 60 });
    await inside(object(), (_, { storage }) => storage.deleteAlarm());
    await tracker.ack("g", "a");
    expect(await ringInTime()).toBe(true);
    expect(bench.deliveries).toHaveLength(1);
  });
});
