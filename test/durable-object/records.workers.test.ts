import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { lineOf } from "../../src/runtime/member-text.js";
import { announced } from "../../src/trackers/group/announcement.js";
import { rowsWritten } from "../support/row-counts.js";
import { storedMembers } from "../support/stored-members.js";
import {
  alarmOf,
  countOf,
  groupObject,
  inside,
  keyObject,
  makeTracker,
  outputOf,
  resetAll,
  type Stub,
  tablesOf,
} from "../support/test-worker.js";

afterEach(resetAll);

const ODD = ["nul\u0000inside", "\u0000", "🦆", "__proto__", "constructor", "", "o:'\"%_", "ß\u{10FFFF}"];

/** Rows that the work in the object wrote, by SQLite's own count. */
function rowsIn(
  stub: Stub,
  work: (instance: { run(...args: [string, string, unknown]): unknown }) => void,
): Promise<number> {
  return inside(stub, (instance, { storage }) => rowsWritten(storage.sql, () => work(instance)));
}

/** The input that registers the tasks, as a tracker makes it. */
function registrationOf(tasks: readonly string[]) {
  const { announcement } = announced(tasks, "tasks");
  const times = { timeoutMs: 0, ttlMs: 60_000 };
  return { op: "op", fingerprint: "f", kind: "named", total: 0, ...announcement, ...times, deliveryId: "msg_g" };
}

const ack = (id: string) => ({ op: `op-${id}`, tasks: [{ id }], earlyTtlMs: 60_000 });

describe("rows", () => {
  it("writes one row for an ack, and none for a duplicate", async () => {
    await makeTracker().register("g", ["a", "b", "c"]);
    expect(await rowsIn(groupObject("g"), (object) => object.run("completion.ack", "g", ack("a")))).toBe(1);
    expect(await rowsIn(groupObject("g"), (object) => object.run("completion.ack", "g", ack("a")))).toBe(0);
    expect(await rowsIn(groupObject("g"), (object) => object.run("completion.ack", "g", ack("nobody")))).toBe(0);
  });

  it("writes one row to register 100 tasks, and two for the table in a new object", async () => {
    const tasks = Array.from({ length: 100 }, () => crypto.randomUUID());
    const given = registrationOf(tasks);
    const registers = (id: string) =>
      rowsIn(groupObject("g"), (object) => object.run("completion.register", id, given));
    expect(await registers("g")).toBe(3);
    expect(await registers("of the same object")).toBe(1);
  });

  it("writes 101 rows for 100 tasks one by one, and two for the table", async () => {
    const tasks = Array.from({ length: 100 }, () => crypto.randomUUID());
    const given = registrationOf(tasks);
    const rows = await rowsIn(groupObject("g"), (object) => {
      object.run("completion.register", "g", given);
      for (const id of tasks) object.run("completion.ack", "g", ack(id));
    });
    expect(rows).toBe(103);
    expect(await makeTracker().status("g")).toMatchObject({ state: "completed", succeeded: 100 });
    expect(await tablesOf(groupObject("g"))).toEqual(["records"]);
  });

  it("leaves no member of a generation that was restarted", async () => {
    await makeTracker().register("g", ["first-a", "first-b"]);
    await makeTracker().ack("g", "first-a");
    await makeTracker().register("g", ["second"], { restart: true });
    const held = await inside(groupObject("g"), (_, { storage: { sql } }) => storedMembers(sql, "completion:g"));
    expect(await countOf(groupObject("g"), "records")).toBe(1);
    expect([...held.keys()].join()).toContain("second");
    expect([...held.keys()].join()).not.toContain("first");
  });

  it("creates nothing when an unknown id is read", async () => {
    const tracker = makeTracker();
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    expect(await tracker.status("nobody")).toBeNull();
    expect(await tracker.wait("nobody", { timeoutMs: 0 })).toBeNull();
    expect(await tracker.cancel("nobody", "because")).toBeNull();
    expect(await coordinator.getInt("nobody")).toBe(0);
    expect(await coordinator.scard("nobody")).toBe(0);
    expect(await coordinator.lrange("nobody")).toEqual([]);
    expect(await coordinator.delete("nobody")).toBe(0);
    for (const stub of [groupObject("nobody"), keyObject("nobody")]) {
      expect(await tablesOf(stub)).toEqual([]);
      expect(await alarmOf(stub)).toBeNull();
    }
  });

  it("keeps the keys of one tag in one object, and others apart", async () => {
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    await coordinator.incr("{a}x");
    await coordinator.incr("{a}y", 2);
    await coordinator.incr("{b}x", 3);
    expect(await countOf(keyObject("a"), "records")).toBe(2);
    expect(await countOf(keyObject("b"), "records")).toBe(1);
    expect(await Promise.all(["{a}x", "{a}y", "{b}x"].map((key) => coordinator.getInt(key)))).toEqual([1, 2, 3]);
  });

  it("keeps odd texts as they are, as ids, members and values", async () => {
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    for (const id of ODD.filter((text) => text !== "")) {
      expect(await coordinator.sadd(id, ...ODD)).toBe(ODD.length);
      expect(await coordinator.sadd(id, ...ODD)).toBe(0);
      expect(await coordinator.srem(id, ...ODD)).toBe(ODD.length);
      expect(await coordinator.rpush(id, ...ODD)).toBe(ODD.length);
      expect(await coordinator.lrange(id)).toEqual(ODD);
    }
  });

  it("reads more members at once than a statement takes parameters", async () => {
    const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
    const values = Array.from({ length: 1_001 }, (_, i) => `value ${i}`);
    await coordinator.rpush("list", ...values);
    expect(await coordinator.lrange("list")).toEqual(values);
  });
});

describe("a transition", () => {
  const push = (values: unknown) => ({ op: "push", ttlMs: 60_000, values });

  it("writes nothing when it throws after its first write", async () => {
    const reply = await inside(keyObject("k"), (object) => {
      const delta = 1;
      // Read after the head was put.
      return object.run("kv.incr", "k", {
        op: "op",
        delta,
        get ttlMs(): number {
          throw new Error("secret");
        },
      });
    });
    expect(reply).toEqual({
      ok: false,
      code: "backend_rejected",
      message: "kv.incr: the transition failed",
      retryable: false,
    });
    expect(await tablesOf(keyObject("k"))).toEqual([]);
    expect(await alarmOf(keyObject("k"))).toBeNull();
  });

  it("writes nothing when its commit fails half-way, tables and alarm neither", async () => {
    const tooLong = "x".repeat(3_000_000);
    const stub = keyObject("k");
    expect(await stub.run("kv.rpush", "k", push(["fits", tooLong]))).toMatchObject({
      ok: false,
      code: "limit_exceeded",
      message: "kv.rpush: a value is larger than a row of the object may be (2 MB)",
    });
    expect(await tablesOf(stub)).toEqual([]);
    expect(await alarmOf(stub)).toBeNull();
    expect(outputOf(await stub.run("kv.rpush", "k", push(["fits"])))).toEqual({ result: "1" });
    expect(await stub.run("kv.rpush", "k", { ...push(["more", tooLong]), op: "next" })).toMatchObject({ ok: false });
    expect(outputOf(await stub.run("kv.lrange", "k", {}))).toEqual({ values: ["fits"], life: "push" });
  });

  it("works on a record of this schema that holds unknown fields", async () => {
    await makeTracker().register("g", ["a", "b"]);
    await makeTracker().ack("g", "a");
    await inside(groupObject("g"), (_, { storage }) => {
      storage.sql.exec(
        "UPDATE records SET head = json_set(head, '$.origin', 'x', '$.fields.flavour', json('[1,null]'))",
      );
      storage.sql.exec("UPDATE records SET packed = packed || ?", lineOf("q:1", "of a kind unknown here"));
    });
    expect(await makeTracker().status("g")).toMatchObject({ state: "open", succeeded: 1, remaining: 1 });
    expect((await makeTracker().ack("g", "a")).verdict).toBe("duplicate");
    expect(await makeTracker().ack("g", "b")).toMatchObject({ verdict: "accepted", ended: true });
  });

  it("is refused on a record of a newer schema, which stays as it is", async () => {
    const stub = groupObject("g");
    const tracker = makeTracker();
    await tracker.register("g", ["a", "b"], { timeoutSec: 600 });
    const setSchema = (schema: number) =>
      inside(stub, (_, { storage }) => {
        storage.sql.exec("UPDATE records SET head = json_set(head, '$.schema', ?)", schema);
      });
    const stored = () =>
      inside(stub, async (_, { storage }) => [
        storage.sql.exec("SELECT * FROM records").toArray(),
        await storage.getAlarm(),
      ]);
    await setSchema(2);
    const before = await stored();
    for (const call of [
      () => tracker.status("g"),
      () => tracker.ack("g", "a"),
      () => tracker.register("g", ["c"], { restart: true }),
      () => tracker.cancel("g", "enough"),
      () => tracker.wait("g", { timeoutMs: 5_000 }),
    ]) {
      await expect(call()).rejects.toMatchObject({ message: expect.stringContaining("newer_schema") });
    }
    expect(await stored()).toEqual(before);
    await setSchema(1);
    expect(await tracker.ack("g", "a")).toMatchObject({ verdict: "accepted", remaining: 1 });
  });

  it("is refused when it is unknown, or the outbox's own", async () => {
    for (const name of [
      "",
      "kv",
      "kv.",
      "kv.nothing",
      "nothing.incr",
      "kv.__proto__",
      "completion.woken",
      "completion.settle",
    ]) {
      expect(await groupObject("g").run(name, "g", {})).toMatchObject({ ok: false, code: "unsupported" });
      expect(await groupObject("g").watch(name, "g", {}, 10)).toMatchObject({ ok: false, code: "unsupported" });
    }
    expect(await tablesOf(groupObject("g"))).toEqual([]);
  });
});
