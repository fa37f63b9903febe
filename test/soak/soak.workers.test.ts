import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { count, reached, runs } from "../support/figures.js";
import { storedMembers } from "../support/stored-members.js";
import { alarmOf, bench, countOf, groupObject, inside, type Stub, tablesOf } from "../support/test-worker.js";
import { groupsOf, REQUEST_EVERY, Soak } from "./workload.js";

const ROUND = 20;
const [LATE_SEC, TTL_SEC] = [30, 60];

beforeEach(() => {
  // An hour ahead of the platform, so that no alarm rings before the test says so.
  bench.frozenAtMs = Date.now() + 3_600_000;
});
afterEach(async () => {
  await reset();
  bench.reset();
});

function requestObject(id: string): Stub {
  return env.COORDINATOR.getByName(`coord:{request}${id}`);
}

/** What an object holds, and which callers wait in it. */
async function leftIn(stub: Stub) {
  const tables = await tablesOf(stub);
  const counted = (["records", "members"] as const).filter((table) => tables.includes(table));
  const rows = await Promise.all(counted.map((table) => countOf(stub, table)));
  const watches = await inside(stub, (object) => object.openWatches());
  return {
    tables: tables.length,
    rows: rows.reduce((sum, n) => sum + n, 0),
    alarm: await alarmOf(stub),
    watches,
  };
}

/** How many members the records of an object have. */
function membersIn(stub: Stub): Promise<number> {
  return inside(stub, (_, { storage: { sql } }) => {
    const names = sql.exec<{ name: string }>("SELECT name FROM records").toArray();
    return names.reduce((sum, { name }) => sum + storedMembers(sql, name).size, 0);
  });
}

it("a soak of Durable Objects leaves no row, no table, no alarm and no watch behind", async ({ task }) => {
  const { groups } = groupsOf(runs("T10_OBJECT", 10_000));
  const soak = new Soak({ batch: 100, lateSec: LATE_SEC, ttlSec: TTL_SEC, handler: "call" });
  bench.handler = (event) => soak.delivered(event);
  const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
  const left = { rows: 0, tables: 0, alarms: 0, watches: 0 };
  let most = 0;
  let requestRows = 0;

  const ring = async (stub: Stub): Promise<void> => {
    for (let atMs = await alarmOf(stub); atMs !== null && atMs <= bench.now() + 1; atMs = await alarmOf(stub)) {
      await runDurableObjectAlarm(stub);
    }
  };
  const pass = async (seconds: number, stubs: readonly Stub[]): Promise<void> => {
    bench.aheadMs += seconds * 1_000;
    await Promise.all(stubs.map(ring));
  };

  const look = async (stubs: readonly Stub[]): Promise<void> => {
    for (const { tables, rows, alarm, watches } of await Promise.all(stubs.map(leftIn))) {
      left.tables += tables;
      left.rows += rows;
      left.alarms += alarm === null ? 0 : 1;
      left.watches += watches;
    }
  };

  for (let from = 0; from < groups; from += ROUND) {
    await soak.round(coordinator, Math.min(ROUND, groups - from));
    const ids = Array.from({ length: soak.groups - from }, (_, i) => from + i);
    const ended = ids.map((n) => groupObject(`group-${n}`));
    const stubs = [...ended, ...ids.filter((n) => n % REQUEST_EVERY === 0).map((n) => requestObject(`request-${n}`))];
    most = Math.max(most, ...(await Promise.all(ended.map(membersIn))));
    requestRows += await countOf(requestObject(`request-${from}`), "records");
    await pass(0, stubs);
    await pass(LATE_SEC, stubs);
    await pass(TTL_SEC, stubs);
    // What a sweep leaves it takes with the next one, ten seconds later.
    await pass(10, stubs);
    await look(ended);
    // No caller seals a request here: its silent end comes with the TTL, its expiry up to 1.25 TTL later.
    await pass(2.25 * TTL_SEC - LATE_SEC - TTL_SEC, stubs);
    await look(stubs);
    bench.deliveries.length = 0;
    bench.events.length = 0;
  }

  reached(task, {
    row: "T10",
    backend: "durable-object",
    reached: `${count(soak.acks)} acks over ${count(groups)} groups: rows ${left.rows}, tables ${left.tables}, alarms ${left.alarms}`,
  });
  expect(soak.counts).toEqual(Soak.whole(groups));
  expect(most).toBeGreaterThan(100);
  expect(requestRows).toBeGreaterThan(0);
  expect(left).toEqual({ rows: 0, tables: 0, alarms: 0, watches: 0 });
}, 1_800_000);
