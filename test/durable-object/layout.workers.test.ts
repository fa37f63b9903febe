import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { packedOf, rowsOf, storedMembers } from "../support/stored-members.js";
import {
  alarmOf,
  bench,
  groupObject,
  inside,
  makeTracker,
  outputOf,
  resetAll,
  type Stub,
} from "../support/test-worker.js";

afterEach(resetAll);

const PREFIX = "coord:acme:";
const GROUP = "completion:g";
const tracker = makeTracker(PREFIX);
const stub = () => groupObject("g", PREFIX);

/** Stores the group as the first layout did, in an object that is not in memory any more. */
async function toFirstLayout(object: Stub): Promise<void> {
  await inside(object, (_, { storage: { sql } }) => {
    const members = storedMembers(sql, GROUP);
    const [row] = sql.exec("SELECT head, until, wake FROM records WHERE name = ?", GROUP).toArray();
    sql.exec("DROP TABLE records");
    sql.exec(
      "CREATE TABLE records (name TEXT PRIMARY KEY, head TEXT NOT NULL, until INTEGER, wake INTEGER) WITHOUT ROWID",
    );
    sql.exec(
      "CREATE TABLE members (record TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (record, name)) WITHOUT ROWID",
    );
    sql.exec("INSERT INTO records VALUES (?, ?, ?, ?)", GROUP, ...Object.values(row ?? {}));
    sql.exec("INSERT INTO members VALUES ('', '', ?)", PREFIX);
    for (const [name, value] of members) sql.exec("INSERT INTO members VALUES (?, ?, ?)", GROUP, name, value);
  });
  await abortAllDurableObjects();
}

describe("tables of the first layout", () => {
  it("are read and written as they are, and hold new records in one row", async () => {
    await tracker.register("g", ["a", "b", "c"]);
    await tracker.ack("g", "a");
    const before = await tracker.status("g");
    await toFirstLayout(stub());
    expect(await tracker.status("g")).toEqual(before);
    expect(await tracker.ack("g", ["a", "b"])).toMatchObject([{ verdict: "duplicate" }, { verdict: "accepted" }]);
    const lists = [JSON.stringify(["", "d"])];
    const times = { timeoutMs: 0, ttlMs: 60_000 };
    const given = { op: "op", fingerprint: "f", kind: "named", total: 0, lists, ...times, deliveryId: "msg_h" };
    outputOf(await stub().run("completion.register", "h", given));
    const held = await inside(stub(), (_, { storage: { sql } }) => ({
      isSpilled: packedOf(sql, GROUP) === null && rowsOf(sql, GROUP).length > 3,
      isPacked: packedOf(sql, "completion:h") !== null && rowsOf(sql, "completion:h").length === 0,
    }));
    expect(held).toEqual({ isSpilled: true, isPacked: true });
    const own = await inside(stub(), (_, { storage: { sql } }) =>
      sql.exec("SELECT head FROM records WHERE name = ''").toArray(),
    );
    expect(own).toEqual([{ head: PREFIX }]);
  });

  it("keep their timers and the object's key prefix", async () => {
    await tracker.register("g", ["a"], { timeoutSec: 60, onEnd: { handler: "record" } });
    await toFirstLayout(stub());
    bench.aheadMs += 60_000;
    await inside(stub(), (object) => Object.assign(object, { tenantOf: (keyPrefix: string) => keyPrefix }));
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    expect(bench.deliveries).toMatchObject([{ status: { groupId: "g", state: "timed_out" }, tenant: PREFIX }]);
  });
});

describe("tables of a later layout", () => {
  const change = (statement: string) => inside(stub(), (_, { storage }) => void storage.sql.exec(statement));

  it.each([
    ["records", "ALTER TABLE records ADD COLUMN index_of TEXT", "ALTER TABLE records DROP COLUMN index_of"],
    ["members", "CREATE TABLE members (record TEXT, name TEXT, kind TEXT, value TEXT)", "DROP TABLE members"],
  ])("are refused, and stay as they are: %s", async (_, later, back) => {
    await tracker.register("g", ["a", "b"], { timeoutSec: 60, ttlSec: 600 });
    await change(later);
    const stored = () =>
      inside(stub(), (_, { storage: { sql } }) => JSON.stringify(sql.exec("SELECT * FROM records").toArray()));
    const before = await stored();
    await abortAllDurableObjects();
    for (const call of [
      () => tracker.status("g"),
      () => tracker.ack("g", "a"),
      () => tracker.register("g", ["c"], { restart: true }),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: "backend_rejected",
        message: expect.stringContaining("newer_schema"),
      });
    }
    expect(await runDurableObjectAlarm(stub())).toBe(true);
    expect(bench.events).toMatchObject([{ type: "drain_failed" }]);
    expect(await alarmOf(stub())).not.toBeNull();
    expect(await stored()).toBe(before);
    await change(back);
    expect(await tracker.ack("g", "a")).toMatchObject({ verdict: "accepted", remaining: 1 });
  });

  it("are refused in an object that has lost its alarm", async () => {
    await tracker.register("g", ["a"], { timeoutSec: 60 });
    await change("ALTER TABLE records ADD COLUMN index_of TEXT");
    await inside(stub(), (_, { storage }) => storage.deleteAlarm());
    await abortAllDurableObjects();
    await expect(tracker.status("g")).rejects.toMatchObject({ message: expect.stringContaining("newer_schema") });
    expect(await alarmOf(stub())).not.toBeNull();
  });
});
