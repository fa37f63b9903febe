import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { CoordinationError } from "../../src/errors.js";
import {
  alarmOf,
  bench,
  countOf,
  groupObject,
  inside,
  keyObject,
  makeTracker,
  outputOf,
  resetAll,
  type Stub,
  type TestCoordinatorObject,
  tablesOf,
} from "../support/test-worker.js";

afterEach(resetAll);

const HOUR_MS = 3_600_000;
const coordinator = () => new DurableObjectCoordinator({ namespace: env.COORDINATOR, ttlSec: 100 });
const tracker = makeTracker();
const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `g${i}`);
const record = { handler: "record" };
const call = { handler: "call", payload: { n: 1 } };

beforeEach(() => {
  // An hour ahead of the platform, so that no alarm rings before a test says so.
  bench.frozenAtMs = Date.now() + HOUR_MS;
});

function pass(ms: number): void {
  bench.aheadMs += ms;
}

/** A record that stays, with a value that has a row of its own: both tables exist. */
async function keepOne(): Promise<void> {
  const input = { op: "keep", values: ["x".repeat(5_000)], ttlMs: 100_000 };
  outputOf(await keyObject("t").run("kv.rpush", "{t}kept", input));
}

/** Records that have expired, `kv:{t}1` and so on, each with a member in a row of its own. */
function addExpired({ sql }: DurableObjectStorage, count: number): void {
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
  const head = '{"schema":1,"until":1,"fields":{}}';
  sql.exec(`${numbers} INSERT INTO records (name, until, head) SELECT 'kv:{t}' || i, 1, '${head}' FROM n`);
  sql.exec(`${numbers} INSERT INTO members SELECT 'kv:{t}' || i, 'm:1', 'x' FROM n`);
}

async function ring(stub: Stub): Promise<void> {
  expect(await runDurableObjectAlarm(stub)).toBe(true);
}

describe("the one alarm", () => {
  it("stands at the earliest of all instants, and moves only to an earlier one", async () => {
    const t0 = bench.now();
    const stub = keyObject("t");
    const set = await inside(stub, (_, { storage }) => vi.spyOn(storage, "setAlarm"));
    await coordinator().incr("{t}a");
    expect(await alarmOf(stub)).toBe(t0 + 100_000);
    await coordinator().setIfAbsent("{t}b", 50);
    expect(await alarmOf(stub)).toBe(t0 + 50_000);
    await coordinator().setIfAbsent("{t}c", 70);
    pass(1_000);
    await coordinator().incr("{t}a");
    await coordinator().getInt("{t}a");
    expect(await alarmOf(stub)).toBe(t0 + 50_000);
    expect(set).toHaveBeenCalledTimes(2);
  });

  it("gives an attempt the time that the object's class says", async () => {
    bench.handler = () => new Promise(() => {});
    await tracker.register("g", 0, { onComplete: call });
    await inside(groupObject("g"), (object) => Object.assign(object, { attemptTimeoutSec: 0.05 }));
    await ring(groupObject("g"));
    const delivery = { state: "pending", attempts: 1, lastError: "took longer than 50 ms" };
    expect(await tracker.status("g")).toMatchObject({ delivery });
  });

  it("is known to an object that was started anew", async () => {
    await coordinator().setIfAbsent("{t}b", 50);
    const standing = await alarmOf(keyObject("t"));
    await abortAllDurableObjects();
    await coordinator().incr("{t}a");
    expect(await alarmOf(keyObject("t"))).toBe(standing);
  });

  it("re-arms at what is left, and sweeps again after a pause at the earliest", async () => {
    const t0 = bench.now();
    const stub = keyObject("t");
    await coordinator().setIfAbsent("{t}a", 50);
    await coordinator().setIfAbsent("{t}b", 51);
    await coordinator().setIfAbsent("{t}c", 190);
    pass(50_000);
    await ring(stub);
    expect(await countOf(stub, "records")).toBe(2);
    expect(await alarmOf(stub)).toBe(t0 + 110_000);
    // A record that expires sooner brings no earlier look through all of them.
    await coordinator().setIfAbsent("{t}d", 1);
    expect(await alarmOf(stub)).toBe(t0 + 110_000);
    pass(60_000);
    await ring(stub);
    expect(await countOf(stub, "records")).toBe(1);
    expect(await alarmOf(stub)).toBe(t0 + 190_000);
  });

  it("removes an expired record with all its members, and leaves the others theirs", async () => {
    await coordinator().rpush("{t}old", "1", "2", "3");
    pass(10_000);
    await coordinator().rpush("{t}young", "4");
    pass(90_000);
    await ring(keyObject("t"));
    expect(await countOf(keyObject("t"), "records")).toBe(1);
    expect(await coordinator().lrange("{t}young")).toEqual(["4"]);
  });

  it("rings at once for more than one alarm removes", async () => {
    const stub = keyObject("t");
    await keepOne();
    await inside(stub, (_, { storage }) => void addExpired(storage, 10_100));
    await ring(stub);
    expect(await countOf(stub, "records")).toBe(101);
    expect(await alarmOf(stub)).toBe(bench.now() + 1);
    await ring(stub);
    expect(await countOf(stub, "records")).toBe(1);
  });

  it("row 47: answers calls between the parts in which it removes 100,000 expired records", async () => {
    const stub = keyObject("t");
    await keepOne();
    const { turns, most, rowsRead, alarms } = await inside(stub, async (object, { storage }) => {
      addExpired(storage, 100_000);
      const { sql } = storage;
      const exec = sql.exec.bind(sql);
      const countRecords = "SELECT count(*) AS n FROM records";
      let [alarms, rowsRead, turns, most, left] = [0, 0, 0, 0, 100_001];
      const counted = (...args: Parameters<typeof exec>) => {
        const cursor = exec(...args);
        rowsRead += cursor.rowsRead;
        return cursor;
      };
      // What another call of the object would see, between two turns.
      const look = (): void => {
        const { n } = exec<{ n: number }>(countRecords).one();
        most = Math.max(most, left - n);
        if (n < left) turns++;
        left = n;
      };
      Object.defineProperty(sql, "exec", { value: counted, configurable: true });
      for (; left > 1 && alarms < 100; alarms++) {
        let isOver = false;
        const alarm = object.alarm().then(() => {
          isOver = true;
        });
        while (!isOver) {
          await new Promise((resolve) => setTimeout(resolve, 0));
          look();
        }
        await alarm;
      }
      Reflect.deleteProperty(sql, "exec");
      return { turns, most, rowsRead, alarms };
    });
    expect(alarms).toBeLessThanOrEqual(11);
    // A timer of the test may be late by one turn of the object's.
    expect(most).toBeLessThanOrEqual(1_000);
    expect(turns).toBeGreaterThanOrEqual(100);
    expect(rowsRead).toBeLessThan(25 * 100_000);
    expect(await countOf(stub, "records")).toBe(1);
    expect(await countOf(stub, "members")).toBe(1);
  });

  it("spares a record that began anew while the expired ones are removed", async () => {
    const stub = keyObject("t");
    await keepOne();
    const reply = await inside(stub, async (object, { storage }) => {
      addExpired(storage, 2_000);
      const alarm = object.alarm();
      const input = { op: "o", delta: 1, ttlMs: 1_000_000 };
      // The last of them, that is not removed in the first turn.
      object.run("kv.incr", "{t}2000", input);
      await alarm;
      return object.run("kv.getInt", "{t}2000", {});
    });
    expect(reply).toMatchObject({ ok: true, output: { result: "1" } });
    expect(await countOf(stub, "records")).toBe(2);
  });

  it("looks through many records twice, and the less often the more there are", async () => {
    const stub = keyObject("t");
    const records = 7_000;
    await coordinator().setIfAbsent("{t}a", 50);
    pass(50_000);
    const rowsRead = await inside(stub, async (object, { storage: { sql } }) => {
      for (let i = 0; i < records; i++) {
        sql.exec("INSERT INTO records (name, until, head) VALUES (?, ?, '{}')", `kv:{t}${i}`, bench.now() + 1 + i);
      }
      const exec = sql.exec.bind(sql);
      const cursors: ReturnType<typeof exec>[] = [];
      const counted = (...args: Parameters<typeof exec>) => {
        const cursor = exec(...args);
        cursors.push(cursor);
        return cursor;
      };
      Object.defineProperty(sql, "exec", { value: counted, configurable: true });
      await object.alarm();
      Reflect.deleteProperty(sql, "exec");
      return cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0);
    });
    expect(rowsRead).toBeGreaterThan(records);
    // The first alarm of an instance looks for timers too.
    expect(rowsRead).toBeLessThan(3.1 * records);
    // In 70 s, though one expires in a millisecond: 200 rows a second at most.
    expect(await alarmOf(stub)).toBe(bench.now() + 70_000);
  });

  it("leaves nothing behind once everything has expired, and the object begins anew", async () => {
    const stub = groupObject("g");
    await tracker.register("g", ["a", "b"], { timeoutSec: 60, ttlSec: 100 });
    await tracker.ack("g", "a");
    pass(160_000);
    for (let i = 0; (await runDurableObjectAlarm(stub)) && i < 5; i++);
    expect(await tablesOf(stub)).toEqual([]);
    expect(await alarmOf(stub)).toBeNull();
    expect(await tracker.status("g")).toBeNull();
    expect(await tracker.register("g", ["a"])).toMatchObject({ state: "open", remaining: 1 });
    expect(await alarmOf(stub)).not.toBeNull();
  });

  it("tidies up a minute after a delete, whose copy may come that late", async () => {
    const forever = new DurableObjectCoordinator({ namespace: env.COORDINATOR, ttlSec: 0 });
    await forever.incr("k");
    expect(await alarmOf(keyObject("k"))).toBeNull();
    await forever.delete("k");
    pass(60_000);
    await ring(keyObject("k"));
    expect(await tablesOf(keyObject("k"))).toEqual([]);
    expect(await alarmOf(keyObject("k"))).toBeNull();
  });

  it("is put back when the platform has lost it", async () => {
    await tracker.register("g", ["a"], { timeoutSec: 60 });
    const standing = await alarmOf(groupObject("g"));
    await inside(groupObject("g"), (_, { storage }) => storage.deleteAlarm());
    await abortAllDurableObjects();
    await tracker.status("g");
    expect(await alarmOf(groupObject("g"))).toBe(standing);
  });

  it("rings by the platform's own clock, too", async () => {
    bench.reset();
    await tracker.register("g", ["a"], { timeoutSec: 0.2, onTimeout: record });
    await expect.poll(() => bench.deliveries).toHaveLength(1);
    expect(bench.deliveries[0]).toMatchObject({ type: "group.timed_out", attempt: 1 });
  });
});

describe("a group's timer", () => {
  it("ends the group at its deadline without any call", async () => {
    const { deadlineAtMs } = await tracker.register("g", ["a", "b"], { timeoutSec: 60, onTimeout: record });
    expect(await alarmOf(groupObject("g"))).toBe(deadlineAtMs);
    await tracker.ack("g", "a");
    pass(60_000);
    await ring(groupObject("g"));
    expect(bench.deliveries).toMatchObject([{ type: "group.timed_out", status: { state: "timed_out", succeeded: 1 } }]);
    expect(await tracker.status("g")).toMatchObject({ state: "timed_out", delivery: { state: "delivered" } });
  });

  it("delivers from the alarm, not from the request that ended the group", async () => {
    await tracker.register("g", ["a"], { onComplete: call });
    await tracker.ack("g", "a");
    expect(bench.deliveries).toEqual([]);
    expect(await alarmOf(groupObject("g"))).toBe(bench.now() + 1);
    await ring(groupObject("g"));
    expect(bench.deliveries).toMatchObject([{ type: "group.completed", payload: { n: 1 }, attempt: 1 }]);
    expect(bench.events).toMatchObject([{ type: "delivery", outcome: "delivered" }]);
    // Nothing is left to do but to expire.
    expect(await alarmOf(groupObject("g"))).toBe(bench.now() + 3_600_000);
  });

  it("does nothing when it rings twice", async () => {
    await tracker.register("g", ["a"], { onComplete: record });
    await tracker.ack("g", "a");
    await inside(groupObject("g"), (object) => Promise.all([object.alarm(), object.alarm()]));
    await inside(groupObject("g"), (object) => object.alarm());
    expect(bench.deliveries).toHaveLength(1);
  });

  it("survives a handler that throws ten times, though the platform would have given up", async () => {
    bench.handler = () => {
      throw new Error("not yet");
    };
    await tracker.register("g", ["a"], { onComplete: call, ttlSec: 86_400 });
    await tracker.ack("g", "a");
    for (let i = 0; i < 10; i++) {
      await ring(groupObject("g"));
      pass(900_000);
    }
    expect(bench.deliveries).toHaveLength(10);
    bench.handler = undefined;
    await ring(groupObject("g"));
    expect(await tracker.status("g")).toMatchObject({ delivery: { state: "delivered", attempts: 11 } });
    expect(new Set(bench.deliveries.map(({ deliveryId }) => deliveryId)).size).toBe(1);
  });

  it("takes a call's earlier timer while a handler is still running", async () => {
    bench.handler = async (_event, ctx) => {
      await ctx.coordinator.incr("begun");
      while ((await ctx.coordinator.getInt("finish")) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await tracker.register("g", ["a"], { onComplete: call });
    await tracker.ack("g", "a");
    const alarm = ring(groupObject("g"));
    await expect.poll(() => coordinator().getInt("begun")).toBe(1);
    await tracker.register("g", ["b"], { restart: true, timeoutSec: 1 });
    expect(await alarmOf(groupObject("g"))).toBe(bench.now() + 1_000);
    await coordinator().incr("finish");
    await alarm;
    expect(await alarmOf(groupObject("g"))).toBe(bench.now() + 1_000);
    expect(await tracker.status("g")).toMatchObject({ state: "open", remaining: 1 });
  });

  it("takes up a delivery whose object died in the middle of it", async () => {
    bench.handler = () => new Promise(() => {});
    await tracker.register("g", ["a"], { onComplete: call });
    await tracker.ack("g", "a");
    await inside(groupObject("g"), async (object) => {
      void object.alarm();
      await expect.poll(() => bench.deliveries).toHaveLength(1);
    });
    // Not at the end of the lease: the next life need not wait for an attempt that died with this one.
    expect(await alarmOf(groupObject("g"))).toBe(bench.now() + 2_000);
    await abortAllDurableObjects();
    bench.handler = undefined;
    pass(2_000);
    await ring(groupObject("g"));
    expect(bench.deliveries.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(await tracker.status("g")).toMatchObject({ delivery: { state: "delivered", attempts: 2 } });
  });

  it("keeps state, timers and the names of handlers through an eviction", async () => {
    await tracker.register("g", ["a", "b"], { timeoutSec: 60, onComplete: record });
    await tracker.ack("g", "a");
    await abortAllDurableObjects();
    expect(await tracker.ack("g", "a")).toMatchObject({ verdict: "duplicate", remaining: 1 });
    expect(await tracker.ack("g", "b")).toMatchObject({ ended: true });
    await abortAllDurableObjects();
    await ring(groupObject("g"));
    expect(bench.deliveries).toHaveLength(1);
  });

  it("leaves a record alone that it cannot wake, for a while", async () => {
    await tracker.register("g", ["a"], { timeoutSec: 60 });
    await inside(groupObject("g"), (_, { storage }) => {
      storage.sql.exec(`UPDATE records SET head = '{"schema":99,"fields":{}}'`);
    });
    pass(60_000);
    await ring(groupObject("g"));
    expect(await alarmOf(groupObject("g"))).toBe(bench.now() + 30_000);
    expect(bench.events).toMatchObject([{ type: "wake_failed", machine: "completion", id: "g" }]);
  });

  /** Groups of one object that have ended, each with a delivery to the handler. */
  function addEnded(object: TestCoordinatorObject, ids: readonly string[], handler: string): void {
    for (const id of ids) {
      const targets = { end: { route: `handler:${handler}`, body: "null" } };
      const tasks = { kind: "counted", total: 0, lists: [] };
      const times = { timeoutMs: 0, ttlMs: 1_000_000 };
      const given = { op: "op", fingerprint: "f", ...tasks, ...times, deliveryId: `msg_${id}`, targets };
      outputOf(object.run("completion.register", id, given));
    }
  }

  it("wakes many due records of one object, four at a time for one handler", async () => {
    let atOnce = 0;
    let most = 0;
    bench.handler = async () => {
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setTimeout(resolve, 1));
      atOnce--;
    };
    const stub = groupObject("shared");
    await inside(stub, (object) => addEnded(object, ids(20), "call"));
    const standing = await inside(stub, async (object, { storage }) => {
      const alarm = object.alarm();
      const atMs = await storage.getAlarm();
      await alarm;
      return atMs;
    });
    expect([bench.deliveries.length, most]).toEqual([20, 4]);
    // For those that were not begun yet, should the object have died.
    expect(standing).toBe(bench.now() + 2_000);
  });

  it("row 47: runs four of a handler's 50 deliveries that hang, answers calls, and makes the others meanwhile", async () => {
    bench.handler = () => new Promise(() => {});
    const stub = groupObject("shared");
    await inside(stub, (object) => {
      addEnded(object, ids(50), "call");
      addEnded(object, ["healthy"], "record");
      void object.alarm();
    });
    await expect.poll(() => bench.deliveries.filter(({ status }) => status.groupId === "healthy")).toHaveLength(1);
    const view = (id: string) => inside(stub, (object) => outputOf(object.run("completion.status", id, {})).view);
    await expect.poll(() => view("healthy")).toMatchObject({ delivery: { state: "delivered" } });
    expect(bench.deliveries).toHaveLength(5);
    // What was not sent spends no attempt, and is handed back.
    await expect.poll(() => view("g49")).toMatchObject({ delivery: { state: "pending", attempts: 0 } });
  });
});

describe("a handler's coordinator", () => {
  it.each(["coord:", "tenant-7:"])(
    "is one like the client's (%s), in an object that its alarm started, too",
    async (keyPrefix) => {
      bench.reset();
      bench.handler = async (_event, ctx) => {
        await ctx.coordinator.incr("done");
      };
      const own = makeTracker(keyPrefix);
      await own.register("g", ["a"], { onTimeout: call, timeoutSec: 0.3 });
      // The next one to start the object is its alarm, which knows no name.
      await abortAllDurableObjects();
      const same = new DurableObjectCoordinator({ namespace: env.COORDINATOR, keyPrefix });
      await expect.poll(() => same.getInt("done")).toBe(1);
    },
  );

  it("is refused with a hint when the object has no binding of its own", async () => {
    bench.handler = (_event, { coordinator: own }) => {
      expect(own.isDistributed).toBe(true);
    };
    const stub = groupObject("unbound");
    await inside(stub, (object) => {
      Reflect.set(object, "namespace", () => {
        throw new CoordinationError("misconfigured", "no binding");
      });
    });
    await tracker.register("unbound", 0, { onEnd: call });
    await ring(stub);
    expect(await tracker.status("unbound")).toMatchObject({ delivery: { state: "pending", lastError: "no binding" } });
  });
});
