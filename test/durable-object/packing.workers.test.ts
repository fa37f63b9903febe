import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { SqliteRecords } from "../../src/backends/durable-object/object/records.js";
import type { Store } from "../../src/core/store.js";
import { openDraft } from "../../src/core/transaction.js";
import { rowsWritten } from "../support/row-counts.js";
import { packedOf, rowsOf, storedMembers } from "../support/stored-members.js";
import { inside, resetAll } from "../support/test-worker.js";

afterEach(resetAll);

const ROW_CHARS = 32_768;
const RECORD = "kv:r";

let objects = 0;

/** Calls back with the records of a new object, and its storage. */
function withRecords<Result>(work: (records: SqliteRecords, sql: SqlStorage) => Result, rowChars?: number) {
  const stub = env.COORDINATOR.getByName(`packing-${++objects}`);
  return inside(stub, (_, { storage }) => work(new SqliteRecords(storage, rowChars), storage.sql));
}

/** Runs one transition on the record, and returns what it returns. */
function change<Result>(records: SqliteRecords, step: (store: Store) => Result, nowMs = 1_000): Result {
  return records.transaction(() => {
    const record = records.open(RECORD);
    const draft = openDraft(record, nowMs);
    const result = step(draft.store);
    const changes = draft.changes();
    if (changes.dirty) record.commit(changes);
    return result;
  });
}

/** Writes members with the head. */
function write(records: SqliteRecords, members: Readonly<Record<string, string>>): void {
  change(records, (store) => {
    store.put({ n: 1 });
    for (const [name, value] of Object.entries(members)) store.set(name, value);
  });
}

/** `count` members of `chars` characters each. */
function many(count: number, chars: number, prefix = "m"): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}:${i}`, `${i}`.padEnd(chars, "x")]));
}

const get = (records: SqliteRecords, name: string) => change(records, (store) => store.get(name));

describe("a record of up to 32 KB", () => {
  it("is one row, and so is each write of it", async () => {
    await withRecords((records, sql) => {
      write(records, many(120, 250));
      expect(packedOf(sql, RECORD)?.length).toBeGreaterThan(30_000);
      expect(rowsWritten(sql, () => write(records, { "m:3": "other", "m:new": "" }))).toBe(1);
      expect(rowsWritten(sql, () => change(records, (store) => store.put({ n: 2 })))).toBe(1);
      expect(rowsWritten(sql, () => change(records, (store) => store.remove("m:4")))).toBe(1);
      expect([get(records, "m:3"), get(records, "m:new"), get(records, "m:4")]).toEqual(["other", "", undefined]);
      expect(get(records, "m:119")).toHaveLength(250);
      expect(rowsOf(sql, RECORD)).toEqual([]);
    });
  });

  it("keeps its members in their text when only its head changes", async () => {
    await withRecords((records, sql) => {
      write(records, many(10, 100));
      const before = packedOf(sql, RECORD);
      change(records, (store) => store.put({ n: 2 }));
      expect(packedOf(sql, RECORD)).toBe(before);
    });
  });

  it("that shrinks and grows again stays packed", async () => {
    await withRecords((records, sql) => {
      write(records, many(120, 250));
      change(records, (store) => {
        for (let i = 0; i < 120; i++) store.remove(`m:${i}`);
      });
      expect(packedOf(sql, RECORD)).toBe("");
      write(records, many(120, 250));
      expect(storedMembers(sql, RECORD).size).toBe(120);
      expect(rowsOf(sql, RECORD)).toEqual([]);
    });
  });
});

describe("a record that grows beyond 32 KB", () => {
  it("spills all its members at once, and reads the same before and after", async () => {
    await withRecords((records, sql) => {
      const members = many(120, 250);
      write(records, members);
      expect(storedMembers(sql, RECORD)).toEqual(new Map(Object.entries(members)));
      const more = many(20, 250, "n");
      write(records, more);
      expect(packedOf(sql, RECORD)).toBeNull();
      expect(rowsOf(sql, RECORD)).toHaveLength(140);
      const all = new Map(Object.entries({ ...members, ...more }));
      expect(storedMembers(sql, RECORD)).toEqual(all);
      for (const [name, value] of all) expect(get(records, name)).toBe(value);
      expect(get(records, "none")).toBeUndefined();
    });
  });

  it("spills in the transaction of its write: when that fails, it stays packed", async () => {
    await withRecords((records, sql) => {
      write(records, many(120, 250));
      const before = packedOf(sql, RECORD);
      const tooLarge = { ...many(20, 250, "n"), z: "x".repeat(3_000_000) };
      expect(() => write(records, tooLarge)).toThrow("SQLITE_TOOBIG");
      expect(packedOf(sql, RECORD)).toBe(before);
      expect(rowsOf(sql, RECORD)).toEqual([]);
      write(records, many(20, 250, "n"));
      expect(storedMembers(sql, RECORD).size).toBe(140);
    });
  });

  it("stays spilled while it exists, and is packed once it was cleared", async () => {
    await withRecords((records, sql) => {
      write(records, many(200, 250));
      change(records, (store) => {
        for (let i = 1; i < 200; i++) store.remove(`m:${i}`);
      });
      expect([packedOf(sql, RECORD), rowsOf(sql, RECORD).length]).toEqual([null, 1]);
      change(records, (store) => {
        store.clear();
        store.put({ n: 2 });
        store.set("new", "1");
      });
      expect(packedOf(sql, RECORD)).not.toBeNull();
      expect([...storedMembers(sql, RECORD)]).toEqual([["new", "1"]]);
      expect(get(records, "m:0")).toBeUndefined();
    });
  });

  it("leaves no row behind when it is removed", async () => {
    await withRecords((records, sql) => {
      write(records, many(200, 250));
      change(records, (store) => store.clear());
      expect(sql.exec("SELECT * FROM records").toArray()).toEqual([]);
      expect(sql.exec("SELECT * FROM members").toArray()).toEqual([]);
    });
  });

  it("counts its head: head and members share the row", async () => {
    await withRecords((records, sql) => {
      change(records, (store) => store.put({ text: "x".repeat(ROW_CHARS - 100) }));
      expect(packedOf(sql, RECORD)).toBe("");
      change(records, (store) => store.set("m", "x".repeat(100)));
      expect([packedOf(sql, RECORD), rowsOf(sql, RECORD).length]).toEqual([null, 1]);
    });
  });
});

describe("a large value", () => {
  it("has a row of its own, and does not spill its record", async () => {
    await withRecords((records, sql) => {
      write(records, { ...many(20, 100), large: "x".repeat(100_000) });
      expect(rowsOf(sql, RECORD).map(([name]) => name)).toEqual(["large"]);
      expect(packedOf(sql, RECORD)?.length).toBeLessThan(3_000);
      expect(get(records, "large")).toHaveLength(100_000);
      expect(rowsWritten(sql, () => write(records, { "m:1": "other" }))).toBe(1);
      expect(rowsWritten(sql, () => write(records, { large: "y".repeat(50_000) }))).toBe(2);
      expect(get(records, "large")).toBe("y".repeat(50_000));
    });
  });

  it("moves into the text when it becomes small, and leaves no row when it is removed", async () => {
    await withRecords((records, sql) => {
      const large = "x".repeat(10_000);
      write(records, { a: large, b: large, c: "small" });
      write(records, { a: "small" });
      change(records, (store) => store.remove("b"));
      write(records, { c: large });
      expect(rowsOf(sql, RECORD).map(([name]) => name)).toEqual(["c"]);
      expect(storedMembers(sql, RECORD)).toEqual(new Map(Object.entries({ a: "small", c: large })));
      expect([get(records, "a"), get(records, "b"), get(records, "c")]).toEqual(["small", undefined, large]);
    });
  });

  it("stays in its row when its record spills", async () => {
    await withRecords((records, sql) => {
      write(records, { large: "x".repeat(10_000), ...many(100, 200) });
      write(records, many(100, 200, "n"));
      expect([packedOf(sql, RECORD), rowsOf(sql, RECORD).length]).toEqual([null, 201]);
      expect(get(records, "large")).toHaveLength(10_000);
    });
  });

  it("is the smaller, the fuller the row: 100 results of a kilobyte do not spill a record", async () => {
    await withRecords((records, sql) => {
      let rows = 0;
      for (const [name, value] of Object.entries(many(100, 1_000))) {
        rows += rowsWritten(sql, () => write(records, { [name]: value }));
      }
      expect(packedOf(sql, RECORD)).not.toBeNull();
      expect(storedMembers(sql, RECORD)).toEqual(new Map(Object.entries(many(100, 1_000))));
      // The tables take four of them. With members in rows alone it were 200.
      expect(rows).toBeLessThan(195);
    });
  });
});

describe("the scans of an object", () => {
  it("find due and expired records, packed and spilled, and remove all of their rows", async () => {
    await withRecords((records, sql) => {
      const fill = (name: string, members: Record<string, string>) =>
        records.transaction(() => {
          const record = records.open(name);
          const draft = openDraft(record, 1_000);
          draft.store.put({ n: 1 });
          draft.store.keepUntil(5_000);
          draft.store.wakeAt(3_000);
          for (const [member, value] of Object.entries(members)) draft.store.set(member, value);
          record.commit(draft.changes());
        });
      fill("kv:packed", many(10, 100));
      fill("kv:spilled", many(200, 250));
      fill("kv:large", { large: "x".repeat(10_000) });
      records.own = "prefix:";
      const names = ["kv:large", "kv:packed", "kv:spilled"];
      expect([records.due(2_999), records.due(3_000).sort(), records.timed().sort()]).toEqual([[], names, names]);
      expect([records.expired(4_999, 10), records.expired(5_000, 10).sort()]).toEqual([[], names]);
      expect(records.outlook(1_000)).toEqual({ count: 3, expiryMs: 5_000, wakeMs: 3_000, nextWakeMs: 3_000 });
      records.sweep(names, 5_000);
      expect(sql.exec("SELECT name FROM records").toArray()).toEqual([{ name: "" }]);
      expect(sql.exec("SELECT * FROM members").toArray()).toEqual([]);
      expect([records.outlook(1_000).count, records.own]).toEqual([0, "prefix:"]);
    });
  });

  it("spare a record that began anew after it was found expired, and leave none of its old rows", async () => {
    await withRecords((records, sql) => {
      write(records, many(200, 250));
      change(records, (store) => store.keepUntil(2_000));
      const expired = records.expired(2_500, 10);
      expect(expired).toEqual([RECORD]);
      const begin = (store: Store): void => {
        store.put({ n: 2 });
        store.set("new", "1");
        store.keepUntil(9_000);
      };
      change(records, begin, 2_500);
      records.sweep(expired, 2_500);
      expect(packedOf(sql, RECORD)).not.toBeNull();
      expect([...storedMembers(sql, RECORD)]).toEqual([["new", "1"]]);
    });
  });

  it("read no packed text", async () => {
    await withRecords((records, sql) => {
      write(records, many(10, 100));
      const exec = sql.exec.bind(sql);
      const plans: string[] = [];
      const explained = (...args: Parameters<typeof exec>) => {
        plans.push(
          ...exec(`EXPLAIN ${args[0]}`, ...args.slice(1))
            .toArray()
            .map((step) => columnOf(step)),
        );
        return exec(...args);
      };
      Object.defineProperty(sql, "exec", { value: explained, configurable: true });
      records.due(1);
      records.timed();
      records.expired(1, 10);
      records.outlook(1);
      Reflect.deleteProperty(sql, "exec");
      expect(plans).toContain("1");
      // `head` and `packed` are the fourth and the fifth.
      expect(plans.filter((column) => column === "3" || column === "4")).toEqual([]);
    });
  });
});

/** The column that a step of a query's plan reads; "" for another step. */
function columnOf({ opcode, p2 }: Record<string, SqlStorageValue>): string {
  return opcode === "Column" ? String(p2) : "";
}
