import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/client.js";
import type { IndexMessage, ObjectMethods } from "../../src/backends/durable-object/protocol.js";
import {
  bench,
  countOf,
  crash,
  groupObject,
  inside,
  makeTracker,
  resetAll,
  type Stub,
  tablesOf,
} from "../support/test-worker.js";

const HOUR_MS = 3_600_000;
const TASKS = Array.from({ length: 100 }, (_, i) => `task-${i}`);
const LAG_MS = 6_000;
const tracker = makeTracker();
const indexObject = (): Stub => env.COORDINATOR.getByName("coord:{index}");

beforeEach(() => {
  // An hour ahead of the platform, so that no alarm rings before a test says so.
  bench.frozenAtMs = Date.now() + HOUR_MS;
  bench.isIndexed = true;
});
afterEach(resetAll);

async function pass(ms: number, ...stubs: Stub[]): Promise<void> {
  bench.aheadMs += ms;
  for (const stub of stubs) await stub.ring();
}

const idsOf = async (state: "open" | "ended"): Promise<string[]> =>
  (await tracker.list({ state })).items.map(({ groupId }) => groupId);

/** Counts what an object writes and how often it sets its alarm, until it is read. */
async function counted(stub: Stub): Promise<() => Promise<{ rows: number; alarms: number }>> {
  await inside(stub, (object, { storage }) => {
    const { sql } = storage;
    const [exec, setAlarm] = [sql.exec.bind(sql), storage.setAlarm.bind(storage)];
    const cursors: { readonly rowsWritten: number }[] = [];
    const counts = { cursors, alarms: 0 };
    const spied = (...args: Parameters<typeof sql.exec>) => {
      const cursor = exec(...args);
      cursors.push(cursor);
      return cursor;
    };
    Object.defineProperty(sql, "exec", { value: spied, configurable: true });
    const alarm: typeof storage.setAlarm = (...args) => {
      counts.alarms++;
      return setAlarm(...args);
    };
    Object.defineProperty(storage, "setAlarm", { value: alarm, configurable: true });
    Object.assign(object, { counts });
  });
  return () =>
    inside(stub, (object) => {
      const { counts } = object as unknown as { counts: { cursors: { rowsWritten: number }[]; alarms: number } };
      return { rows: counts.cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0), alarms: counts.alarms };
    });
}

/** Replaces the index, as an object reaches it; `undefined`: it reaches the index again. */
async function send(stub: Stub, indexLine: ((line: IndexMessage) => unknown) | undefined): Promise<void> {
  await inside(stub, (object) => {
    if (indexLine === undefined) Reflect.deleteProperty(object, "namespace");
    else Object.assign(object, { namespace: () => ({ idFromName: () => ({}), get: () => ({ indexLine }) }) });
  });
}

/** The rows and alarms of a group of 100 tasks, in its object and in the index. */
async function costOf(id: string, betweenMs: number) {
  await groupObject(id).openWatches();
  const [group, index] = [await counted(groupObject(id)), await counted(indexObject())];
  await tracker.register(id, TASKS);
  if (betweenMs > 0) await pass(betweenMs, groupObject(id));
  for (const task of TASKS) {
    await tracker.ack(id, task);
    // An object that idles for ten seconds is evicted, and its count with it.
    await indexObject().openWatches();
  }
  await pass(LAG_MS, groupObject(id));
  return { group: await group(), index: await index() };
}

describe("the index of Durable Objects", () => {
  it("costs a group of 100 tasks a few rows and alarms", async () => {
    // The tables of the index exist.
    await tracker.register("first", 0);
    await pass(LAG_MS, groupObject("first"));
    bench.isIndexed = false;
    const without = await costOf("without", 0);
    bench.isIndexed = true;
    const short = await costOf("short", 0);
    const long = await costOf("long", LAG_MS);
    const over = (cost: typeof without) => ({
      rows: cost.group.rows - without.group.rows + cost.index.rows,
      alarms: cost.group.alarms - without.group.alarms,
    });
    // Over 103 rows. A tell is a mark and its removal, a line and its entry in the index; each is an alarm, set twice.
    expect({ short: over(short), long: over(long) }).toEqual({
      short: { rows: 4, alarms: 2 },
      long: { rows: 8, alarms: 4 },
    });
  });

  it("tells nothing where the class does not ask for it, and then refuses a list", async () => {
    bench.isIndexed = false;
    await tracker.register("g", ["a"]);
    await pass(LAG_MS, groupObject("g"));
    await expect(tracker.list()).rejects.toMatchObject({ code: "unsupported" });
    expect(await (indexObject() as unknown as ObjectMethods).countIndex()).toMatchObject({ code: "unsupported" });
    expect(await countOf(groupObject("g"), "records")).toBe(1);
  });

  it("writes no mark for an ack that ends nothing", async () => {
    await tracker.register("g", ["a", "b"]);
    await pass(LAG_MS, groupObject("g"));
    expect(await countOf(groupObject("g"), "records")).toBe(1);
    await tracker.ack("g", "a");
    expect(await countOf(groupObject("g"), "records")).toBe(1);
    await tracker.ack("g", "b");
    expect(await countOf(groupObject("g"), "records")).toBe(2);
  });

  it("receives the line after a crash", async () => {
    await tracker.register("g", ["a"]);
    await crash(groupObject("g"));
    await pass(LAG_MS, groupObject("g"));
    expect(await idsOf("open")).toEqual(["g"]);
    await tracker.cancel("g", "enough");
    await crash(groupObject("g"));
    await crash(indexObject());
    await pass(LAG_MS, groupObject("g"));
    expect([await idsOf("open"), await idsOf("ended")]).toEqual([[], ["g"]]);
  });

  it("receives the line again when it is asked for, also of a record that was stored without one", async () => {
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    bench.isIndexed = false;
    await tracker.register("early", ["a"]);
    await expect(coordinator.reindex("completion", "early")).rejects.toMatchObject({ code: "unsupported" });
    await crash(groupObject("early"));
    bench.isIndexed = true;
    expect(await idsOf("open")).toEqual([]);
    expect(await coordinator.reindex("completion", "early")).toBe(true);
    expect(await idsOf("open")).toEqual(["early"]);
    expect(await countOf(groupObject("early"), "records")).toBe(1);
    expect(await coordinator.reindex("completion", "unknown")).toBe(false);
    expect(await coordinator.reindex("request", "early")).toBe(false);
  });

  it("receives the line that was asked for later, if it does not answer then", async () => {
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    await tracker.register("g", ["a"], { timeoutSec: 0 });
    await send(groupObject("g"), () => Promise.reject(new Error("down")));
    expect(await coordinator.reindex("completion", "g")).toBe(true);
    expect(await idsOf("open")).toEqual([]);
    await send(groupObject("g"), undefined);
    await pass(60_000, groupObject("g"));
    expect(await idsOf("open")).toEqual(["g"]);
  });

  it("receives the line later while it does not answer", async () => {
    await send(groupObject("g"), () => Promise.reject(new Error("down")));
    await tracker.register("g", ["a"], { timeoutSec: 0 });
    await pass(LAG_MS, groupObject("g"));
    expect(bench.events).toMatchObject([{ type: "drain_failed" }]);
    await send(groupObject("g"), undefined);
    await pass(31_000, groupObject("g"));
    expect(await idsOf("open")).toEqual(["g"]);
    expect(await countOf(groupObject("g"), "records")).toBe(1);
    // Other changes since then may be as late.
    expect((await tracker.list()).asOfMs).toBe(bench.frozenAtMs);
    bench.aheadMs += 37_000;
    expect((await tracker.list()).asOfMs).toBe(bench.now() - 5_000);
  });

  it("receives with each line since when it lacks a change", async () => {
    const told: IndexMessage[] = [];
    await send(groupObject("g"), async (line) => {
      if (told.push(line) === 1) await tracker.cancel("g", "enough");
      return { ok: true, output: { sentAtMs: line.sentAtMs, count: 1 } };
    });
    await tracker.register("g", ["a"]);
    for (let i = 0; i < 2; i++) await pass(LAG_MS, groupObject("g"));
    const atMs = Number(bench.frozenAtMs);
    expect(told.map(({ sinceMs }) => sinceMs)).toEqual([atMs, atMs + LAG_MS]);
  });

  it("receives ever fewer messages while it does not answer, and few from the first time on when it is full", async () => {
    const stub = groupObject("g");
    const pausesMs = async (times: number): Promise<number[]> => {
      const pauses: number[] = [];
      for (let i = 0; i < times; i++) {
        pauses.push(
          await inside(stub, (_, { storage: { sql } }) => {
            const { wake } = sql.exec<{ wake: number }>("SELECT wake FROM records WHERE name = ':index'").one();
            return wake - bench.now();
          }),
        );
        await pass(pauses.at(-1) ?? 0, stub);
      }
      return pauses;
    };
    await send(stub, () => Promise.reject(new Error("down")));
    await tracker.register("g", ["a"], { timeoutSec: 0, ttlSec: "7d" });
    const [first, ...later] = await pausesMs(10);
    expect(first).toBe(5_000);
    for (const [i, pauseMs] of later.entries()) {
      const mostMs = Math.min(30_000 * 2 ** i, HOUR_MS);
      expect(pauseMs).toBeGreaterThanOrEqual(mostMs / 2);
      expect(pauseMs).toBeLessThanOrEqual(mostMs);
    }
    await send(stub, undefined);
    await pass(HOUR_MS, stub);
    await tracker.cancel("g", "enough");
    await send(stub, () => ({ ok: false, code: "limit_exceeded", message: "is full", retryable: false }));
    const [, full] = await pausesMs(2);
    expect(full).toBeGreaterThanOrEqual(HOUR_MS / 2);
  });

  it("holds up no deadline while it does not answer", async () => {
    const stub = groupObject("g");
    await send(stub, () => new Promise<never>(() => {}));
    await tracker.register("g", ["a"], { timeoutSec: 10, onEnd: { handler: "record" } });
    bench.aheadMs += LAG_MS;
    const telling = inside(stub, (object) => object.ring());
    bench.aheadMs += LAG_MS;
    await telling;
    expect(bench.deliveries).toMatchObject([{ type: "group.timed_out" }]);
    expect(bench.events).toContainEqual(expect.objectContaining({ type: "drain_failed" }));
  }, 20_000);

  it("takes no further groups while it is full, and takes them when it has room again", async () => {
    await tracker.register("first", ["a"]);
    await pass(LAG_MS, groupObject("first"));
    const fill = (bytes: number | undefined) =>
      inside(indexObject(), (_, { storage: { sql } }) => {
        if (bytes === undefined) Reflect.deleteProperty(sql, "databaseSize");
        else Object.defineProperty(sql, "databaseSize", { value: bytes, configurable: true });
      });
    await fill(1_000_000_000);
    await tracker.cancel("first", "enough");
    await tracker.register("second", ["a"], { timeoutSec: 0, ttlSec: "1d" });
    await pass(LAG_MS, groupObject("first"), groupObject("second"));
    expect([await idsOf("open"), await idsOf("ended")]).toEqual([[], ["first"]]);
    expect(bench.events).toMatchObject([{ type: "drain_failed" }]);
    expect(String((bench.events[0] as unknown as { error: unknown }).error)).toContain("is full");
    await fill(undefined);
    await pass(HOUR_MS, groupObject("second"));
    expect(await idsOf("open")).toEqual(["second"]);
  });

  it("learns that a record was removed, also when the record itself is gone by then", async () => {
    const stub = groupObject("g");
    await tracker.register("g", 0, { ttlSec: "7d" });
    await pass(LAG_MS, stub);
    await send(stub, () => Promise.reject(new Error("down")));
    await tracker.remove("g");
    await pass(LAG_MS, stub);
    for (let i = 0; i < 10; i++) await pass(60_000, stub);
    // The mark alone.
    expect([await countOf(stub, "records"), await idsOf("ended")]).toEqual([1, ["g"]]);
    await send(stub, undefined);
    await pass(HOUR_MS, stub);
    expect([await tablesOf(stub), await idsOf("ended")]).toEqual([[], []]);
  });

  it("keeps the line that was sent last, whatever arrives late", async () => {
    const index = indexObject() as unknown as ObjectMethods;
    const line = { list: 0, atMs: 1 };
    const brief = { state: "open" as const, generation: 1, changes: 1, total: 1, succeeded: 0, failed: 0 };
    const told = { machine: "completion" as const, id: "x", untilMs: bench.now() + HOUR_MS };
    const at = (sentAtMs: number) => ({ ...told, sentAtMs });
    await index.indexLine({
      ...at(2),
      line: { list: 4, atMs: 5 },
      brief: { ...brief, state: "completed", registeredAtMs: 1 },
    });
    await index.indexLine({ ...at(1), line, brief: { ...brief, registeredAtMs: 1 } });
    expect(await idsOf("ended")).toEqual(["x"]);
    await index.indexLine(at(3));
    await index.indexLine({ ...at(2), line: { list: 4, atMs: 5 }, brief: { ...brief, registeredAtMs: 1 } });
    expect(await idsOf("ended")).toEqual([]);
  });

  it("has the last line of an object whose clock was set back", async () => {
    const hour = bench.frozenAtMs;
    await tracker.register("g", ["a"]);
    await pass(LAG_MS, groupObject("g"));
    expect(await idsOf("open")).toEqual(["g"]);
    // Still ahead of the platform, so that no alarm rings by itself.
    bench.frozenAtMs = Number(hour) - 60_000;
    await tracker.ack("g", "a");
    await pass(LAG_MS, groupObject("g"));
    expect([await idsOf("open"), await idsOf("ended")]).toEqual([[], ["g"]]);
  });

  it("removes 500 expired lines at a time, and goes on at the next alarm", async () => {
    await tracker.register("kept", 0, { ttlSec: "7d" });
    await pass(LAG_MS, groupObject("kept"));
    await inside(indexObject(), (_, { storage: { sql } }) => {
      const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) ";
      sql.exec(`INSERT INTO lines ${numbers} SELECT 'completion:' || i, 4, 1, ?, 1, 'null' FROM n`, bench.now());
    });
    const left: number[] = [];
    for (let i = 0; i < 3; i++) {
      await inside(indexObject(), (object) => object.alarm());
      left.push(await countOf(indexObject(), "lines"));
    }
    expect(left).toEqual([701, 201, 1]);
    expect(await idsOf("ended")).toEqual(["kept"]);
  });

  it("counts what is open or owes a delivery, up to 1,000 of each list, and no line that has expired", async () => {
    const index = indexObject() as unknown as ObjectMethods;
    const asOfMs = bench.now() - 5_000;
    expect(await index.countIndex()).toEqual({ ok: true, output: { lists: [], asOfMs } });
    await tracker.register("g", ["a"]);
    await pass(LAG_MS, groupObject("g"));
    await inside(indexObject(), (_, { storage: { sql } }) => {
      const line = (name: string, list: number, at: number, until: number) =>
        sql.exec("INSERT INTO lines VALUES (?, ?, ?, ?, 1, 'null')", name, list, at, until);
      const later = bench.now() + HOUR_MS;
      for (let i = 0; i < 1_005; i++) line(`completion:dead-${i}`, 7, 1_000 + i, later);
      line("completion:ended", 4, 1, later);
      line("completion:expired", 0, 1, bench.now());
      line("request:failed", 109, 7, later);
    });
    const lists = [
      { machine: "completion", list: 0, count: 1, oldestAtMs: Number(bench.frozenAtMs) },
      { machine: "completion", list: 7, count: 1_000, oldestAtMs: 1_000 },
      { machine: "request", list: 9, count: 1, oldestAtMs: 7 },
    ];
    expect(await index.countIndex()).toEqual({ ok: true, output: { lists, asOfMs: asOfMs + LAG_MS } });
  });

  it("ends with its groups", async () => {
    await tracker.register("g", 0, { ttlSec: 60 });
    await pass(LAG_MS, groupObject("g"), indexObject());
    expect(await idsOf("ended")).toEqual(["g"]);
    await pass(61_000, groupObject("g"));
    expect(await idsOf("ended")).toEqual([]);
    await pass(HOUR_MS, groupObject("g"), indexObject());
    expect([await tablesOf(indexObject()), await tablesOf(groupObject("g"))]).toEqual([[], []]);
  });
});
