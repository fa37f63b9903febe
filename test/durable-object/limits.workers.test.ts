import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { countRows } from "../support/row-counts.js";
import { alarmOf, bench, inside, outputOf, resetAll, type Stub } from "../support/test-worker.js";

afterEach(resetAll);

const HOUR_MS = 3_600_000;
const KEYS = 100_000;
/** An object that holds limits only, as the keys of a namespace and shard share one. */
const shared = (): Stub => env.COORDINATOR.getByName("coord:{limiter}1:a7");
/** A call's debt is over after 0.6 s. */
const TAKE = { limit: 100, windowMs: 60_000, burst: 100, cost: 1 };

/** Calls of other keys: each was allowed once, and its record expires within the next hour. */
function addKeys({ sql }: DurableObjectStorage, count: number): void {
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
  const until = `${bench.now()} + 1 + (i * 7919) % ${HOUR_MS}`;
  const head = `'{"schema":1,"until":' || (${until}) || ',"fields":{"atMs":1,"rest":0,"limit":100}}'`;
  sql.exec(`${numbers} INSERT INTO records (name, until, head) SELECT 'limiter:' || i, ${until}, ${head} FROM n`);
}

it("a check costs the same however many keys share its object, and brings no alarm", async () => {
  bench.frozenAtMs = Date.now() + HOUR_MS;
  const stub = shared();
  const take = () => inside(stub, (object) => void outputOf(object.run("limiter.take", "user", TAKE)));
  await take();
  await inside(stub, (_, { storage }) => addKeys(storage, KEYS));
  bench.aheadMs += 1_000;
  await runDurableObjectAlarm(stub);
  // The next look through so many records comes after a pause of 10 ms for each.
  const pausedUntilMs = await alarmOf(stub);
  expect(pausedUntilMs).toBeGreaterThanOrEqual(bench.now() + 0.99 * 10 * KEYS);

  const { checks, alarms } = await inside(stub, async (object, { storage }) => {
    const set = vi.spyOn(storage, "setAlarm");
    const end = countRows(storage.sql);
    for (let i = 0; i < 100; i++) {
      bench.aheadMs += 700;
      outputOf(object.run("limiter.take", "user", TAKE));
      outputOf(object.run("limiter.take", `new ${i}`, TAKE));
    }
    return { checks: end(), alarms: set.mock.calls.length };
  });
  expect(alarms).toBe(0);
  expect(await alarmOf(stub)).toBe(pausedUntilMs);
  expect(checks.written).toBe(200);
  expect(checks.read).toBeLessThanOrEqual(300);

  bench.aheadMs = (pausedUntilMs ?? 0) - (bench.frozenAtMs ?? 0);
  const alarm = await inside(stub, async (object, { storage }) => {
    const end = countRows(storage.sql);
    await object.alarm();
    return end();
  });
  // Two scans, and what removing a quarter of the rows reads.
  expect(alarm.read).toBeLessThan(3.2 * KEYS);
});

it("an object that was loaded anew waits for the alarm that is set", async () => {
  bench.frozenAtMs = Date.now() + HOUR_MS;
  const stub = shared();
  await inside(stub, (object) => void outputOf(object.run("limiter.take", "slow", { ...TAKE, cost: 50 })));
  await inside(stub, (_, { storage }) => addKeys(storage, 1_000));
  bench.aheadMs += 60_000;
  await runDurableObjectAlarm(stub);
  const atMs = await alarmOf(stub);
  await inside(stub, (object) => object.crash()).catch(() => {});
  await inside(shared(), (object) => void outputOf(object.run("limiter.take", "user", TAKE)));
  expect(await alarmOf(shared())).toBe(atMs);
});
