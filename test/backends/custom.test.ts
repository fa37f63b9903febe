import { describe, expect, it } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import type { BackendDefinition, NextRecord } from "../../src/backends/custom/definition.js";
import { CompletionTracker, CoordinationError, type Coordinator, isDrainable } from "../../src/index.js";
import { type ManualClock, settle } from "../../src/testing/index.js";
import { acks, lab, lost, never, once, outcomeOf, registration } from "./custom-lab.js";
import { VersionedStore } from "./custom-store.js";

describe("a definition", () => {
  const whole = new VersionedStore().definition;

  it.each(["load", "compareAndSet", "now", "due", "putOff", "sweep", "subscribe", "onEvent", "random"])(
    "whose %s is no function is refused by its name",
    (name) => {
      for (const wrong of [null, "x", {}]) {
        const make = (): Coordinator => defineBackend({ ...whole, [name]: wrong } as BackendDefinition);
        expect(make).toThrow(CoordinationError);
        expect(make).toThrow(
          expect.objectContaining({ code: "misconfigured", message: expect.stringContaining(name) }),
        );
      }
    },
  );

  it("without its two functions is refused", () => {
    const refusal = expect.objectContaining({ code: "misconfigured", message: "load must be a function" });
    for (const wrong of [undefined, null, {}]) {
      expect(() => defineBackend(wrong as unknown as BackendDefinition)).toThrow(refusal);
    }
    const { load } = whole;
    expect(() => defineBackend({ load } as unknown as BackendDefinition)).toThrow("compareAndSet must be a function");
    const { due: _, sweep, ...others } = whole;
    expect(() => defineBackend({ ...others, sweep })).toThrow("sweep needs due");
    expect(() => defineBackend({ ...others, putOff: async () => {} })).toThrow("putOff needs due");
  });

  it.each([
    ["ttlSec", [-1, "1", Number.NaN, 31_536_001]],
    ["completionTimeoutSec", [-1, "1", 31_536_001]],
    ["callTimeoutMs", [0, 1.5, 600_001, "1"]],
    ["maxRecordBytes", [0, 1.5, "1"]],
    ["contention.maxAttempts", [0, 1.5, 10_001]],
    ["contention.baseDelayMs", [-1, 60_001, Number.NaN]],
    ["contention.maxDelayMs", [9, 60_001]],
  ])("whose %s is out of range is refused by its name", (name, wrongs) => {
    for (const wrong of wrongs) {
      const contention = { maxAttempts: 1, baseDelayMs: 10, maxDelayMs: 10 };
      const [field = "", part] = name.split(".");
      const value = part === undefined ? wrong : { ...contention, [part]: wrong };
      const refusal = expect.objectContaining({ code: "invalid_input", message: expect.stringContaining(name) });
      expect(() => defineBackend({ ...whole, [field]: value } as BackendDefinition)).toThrow(refusal);
    }
  });

  it("is all that a coordinator says of itself", () => {
    const { load, compareAndSet } = whole;
    const least = defineBackend({ load, compareAndSet });
    expect(least).toMatchObject({ isDistributed: true, defaultTtlSec: 3_600 });
    expect(least.completionTimeoutSec).toBeUndefined();
    expect(isDrainable(least)).toBe(false);
    const full = defineBackend({ ...whole, isDistributed: false, ttlSec: 0, completionTimeoutSec: 60 });
    expect(full).toMatchObject({ isDistributed: false, defaultTtlSec: 0, completionTimeoutSec: 60 });
    expect(full.drain).toBeTypeOf("function");
  });

  it("may be an object with methods of its own", async () => {
    class Store implements BackendDefinition {
      readonly #inner = new VersionedStore().definition;
      readonly #nowMs = 1_800_000_000_000;
      load = (name: string) => this.#inner.load(name);
      compareAndSet(name: string, version: string | null, next: NextRecord | null) {
        return this.#inner.compareAndSet(name, version, next);
      }
      now() {
        return this.#nowMs;
      }
      due(limit: number) {
        return this.#inner.due(limit);
      }
      sweep(nowMs: number) {
        return this.#inner.sweep(nowMs);
      }
      subscribed = 0;
      subscribe() {
        this.subscribed++;
        return () => {};
      }
    }
    const store = new Store();
    const c = defineBackend(store);
    const { view } = await c.run("completion.register", "g", registration());
    expect(view?.generation).toBe(1_800_000_000_000);
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: 5_000 });
    await settle();
    await c.run("completion.ack", "g", acks("a"));
    expect((await waiting).ready).toBe(true);
    expect(store.subscribed).toBe(1);
    expect(await c.drain()).toMatchObject({ woken: 0 });
  });
});

describe("an operation", () => {
  it("that reads is one load, one that writes a load and a compare-and-set", async () => {
    const { c, clock, store } = lab();
    await c.incr("key");
    expect(store.calls.splice(0)).toEqual(["load", "compareAndSet"]);
    await c.getInt("key");
    expect(store.calls.splice(0)).toEqual(["load"]);
    expect(await c.delete("key", "unknown")).toBe(1);
    expect(store.calls.splice(0)).toEqual(["load", "load", "compareAndSet"]);
    // What is remembered of a deleted key goes with the first look after its minute.
    await clock.advance(60_000);
    expect(await c.getInt("key")).toBe(0);
    expect(store.calls).toEqual(["load", "remove"]);
    expect(store.records.size).toBe(0);
  });

  it("hands along when the record expires and when it wants to be woken, and a version of its own", async () => {
    const { c, clock, store } = lab({}, { ttlSec: 60 });
    await c.run("completion.register", "g", registration(2, 5_000));
    await c.incr("key");
    const { version, ...group } = store.records.get("completion:g") as NextRecord;
    expect(group).toMatchObject({ expiresAtMs: clock.now() + 605_000, wakeAtMs: clock.now() + 5_000 });
    expect(store.records.get("kv:key")).toMatchObject({ expiresAtMs: clock.now() + 60_000, wakeAtMs: null });
    await c.run("completion.ack", "g", acks("a"));
    expect(store.records.get("completion:g")?.version).not.toBe(version);
    await c.incr("forever", 1);
    const { c: eternal, store: other } = lab({}, { ttlSec: 0 });
    await eternal.incr("key");
    expect(other.records.get("kv:key")?.expiresAtMs).toBeNull();
  });

  it("names its record in printable ASCII, whatever the id holds", async () => {
    const { c, store } = lab();
    for (const key of ["a b", "é🙂", "\u0000", "__proto__", "a:b%", "x".repeat(256)]) await c.incr(key);
    expect([...store.records.keys()].slice(0, 5)).toEqual([
      "kv:a%20b",
      "kv:%C3%A9%F0%9F%99%82",
      "kv:%00",
      "kv:__proto__",
      "kv:a%3Ab%25",
    ]);
    for (const name of store.records.keys()) expect(name).toMatch(/^[!-~]{1,800}$/);
  });

  it("keeps members apart whatever their names", async () => {
    const { c, coordinator } = lab();
    const names = ["__proto__", "constructor", "toString", "", "a\u0000", "hasOwnProperty"];
    expect(await c.sadd("set", ...names)).toBe(names.length);
    expect(await coordinator().sadd("set", ...names)).toBe(0);
    expect(await coordinator().srem("set", "__proto__", "toString")).toBe(2);
    expect(await c.scard("set")).toBe(4);
    expect(await c.sadd("set", "__proto__", "constructor")).toBe(1);
  });

  it("retries from the stored value when another instance writes first", async () => {
    const { c, coordinator, clock, store } = lab();
    await c.incr("key", 1);
    store.faults = {
      before: once(() =>
        coordinator()
          .incr("key", 10)
          .then(() => {}),
      ),
    };
    expect(await outcomeOf(clock, c.incr("key", 100))).toBe(111);
    expect(await c.getInt("key")).toBe(111);
    expect(store.conflicts).toBe(1);
  });

  it("retries when another instance creates or removes the record meanwhile", async () => {
    const { c, coordinator, clock, store } = lab({
      before: once(() =>
        coordinator()
          .incr("key", 10)
          .then(() => {}),
      ),
    });
    expect(await outcomeOf(clock, c.incr("key", 1))).toBe(11);
    store.faults = {
      before: once(() =>
        coordinator()
          .delete("key")
          .then(() => {}),
      ),
    };
    expect(await outcomeOf(clock, c.incr("key", 5))).toBe(5);
    store.faults = {
      before: once(() =>
        coordinator()
          .delete("key")
          .then(() => {}),
      ),
    };
    expect(await outcomeOf(clock, c.delete("key"))).toBe(0);
  });

  it("gives every evaluation the input as it came", async () => {
    const { c, coordinator, clock, store } = lab();
    await c.rpush("list", "a");
    store.faults = {
      before: once(() =>
        coordinator()
          .rpush("list", "b")
          .then(() => {}),
      ),
    };
    const input = { op: "o", ttlMs: 0, values: ["c", "d"] };
    const work = c.run("kv.rpush", "list", input);
    input.values.push("e");
    expect(await outcomeOf(clock, work)).toEqual({ result: "4" });
    expect(await c.lrange("list")).toEqual(["a", "b", "c", "d"]);
  });

  it("gives way to others a limited number of times, with pauses that double", async () => {
    const contention = { maxAttempts: 5, baseDelayMs: 100, maxDelayMs: 400 };
    const { c, clock, store } = lab({ before: (_, name, own) => own.touch(name) }, { contention, random: () => 0.999 });
    await c.incr("key");
    store.calls.length = 0;
    const outcome = c.incr("key").catch((error: unknown) => error);
    const seen: number[] = [];
    for (const ms of [0, 98, 1, 198, 1, 398, 1, 398, 1]) {
      await clock.advance(ms);
      seen.push(store.count("compareAndSet"));
    }
    expect(seen).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5]);
    expect(await outcome).toMatchObject({
      code: "backend_unavailable",
      message: expect.stringContaining("other writers changed the record before this one, 5 times"),
      retryable: true,
      applied: "no",
    });
    expect(await c.getInt("key")).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("says why it found no time", async () => {
    const { c, clock } = lab({ before: (_, name, own) => own.touch(name) }, { callTimeoutMs: 300 });
    await c.incr("key");
    expect(await outcomeOf(clock, c.incr("key"))).toMatchObject({
      code: "backend_unavailable",
      message: expect.stringContaining("other writers changed the record before this one"),
      applied: "no",
    });
  });

  it("takes a record past its end for absent, and removes it", async () => {
    const { c, clock, store } = lab({}, { ttlSec: 60 });
    await c.sadd("set", "a");
    await clock.advance(60_000);
    expect(store.records.size).toBe(1);
    expect(await c.scard("set")).toBe(0);
    expect(store.records.size).toBe(0);
    await c.sadd("set", "a");
    await clock.advance(60_000);
    expect(await c.sadd("set", "b")).toBe(1);
    expect(await c.scard("set")).toBe(1);
  });

  it("refuses a record that the store could not take, and keeps what was there", async () => {
    const { c, store } = lab({}, { maxRecordBytes: 1_000 });
    await c.rpush("list", "é".repeat(150));
    const before = store.records.get("kv:list");
    const error = { code: "limit_exceeded", retryable: false, applied: "no" };
    await expect(c.rpush("list", "é".repeat(350))).rejects.toMatchObject(error);
    expect(store.records.get("kv:list")).toBe(before);
    expect(new TextEncoder().encode(before?.data).length).toBeLessThanOrEqual(1_000);
  });

  it("on an id that is none is refused", async () => {
    const { c, store } = lab();
    for (const id of ["", "x".repeat(257), "\ud800", 5 as unknown as string]) {
      const refusal = { code: "invalid_input", message: expect.stringContaining("id") };
      await expect(c.run("kv.getInt", id, {})).rejects.toMatchObject(refusal);
      await expect(c.watch("completion.wait", id, {}, { timeoutMs: 9 })).rejects.toMatchObject(refusal);
    }
    for (const timeoutMs of [-1, Number.NaN, 31_536_000_001]) {
      const refusal = { code: "invalid_input", message: expect.stringContaining("timeoutMs") };
      await expect(c.watch("completion.wait", "g", {}, { timeoutMs })).rejects.toMatchObject(refusal);
    }
    expect(store.calls).toEqual([]);
  });

  it("of no machine is refused", async () => {
    const { c, store } = lab();
    for (const name of ["kv.nothing", "nothing", "__proto__.x"]) {
      await expect(c.run(name as "kv.incr", "key", {} as never)).rejects.toMatchObject({ code: "invalid_input" });
    }
    expect(store.calls).toEqual([]);
  });
});

describe("operations on one record that begin in a turn", () => {
  const settled = async (clock: ManualClock, work: readonly Promise<unknown>[]): Promise<unknown[]> => {
    const outcomes = await outcomeOf(clock, Promise.allSettled(work));
    return (outcomes as PromiseSettledResult<unknown>[]).map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value : (outcome.reason as CoordinationError),
    );
  };

  it("share one load and one compare-and-set, in the order in which they began", async () => {
    const { c, store } = lab();
    const tracker = new CompletionTracker(c);
    await tracker.register("g", 400);
    store.calls.length = 0;
    const results = await Promise.all(Array.from({ length: 400 }, (_, i) => tracker.ack("g", `t${i}`)));
    expect(store.calls).toEqual(["load", "compareAndSet"]);
    expect(results.map(({ remaining }) => remaining)).toEqual(Array.from({ length: 400 }, (_, i) => 399 - i));
    expect(results.filter(({ ended }) => ended)).toHaveLength(1);
    expect(await Promise.all([c.incr("a"), c.getInt("a"), c.incr("a", 5), c.getInt("a")])).toEqual([1, 1, 6, 6]);
    expect(store.calls.slice(2)).toEqual(["load", "compareAndSet"]);
  });

  it("share none with those of other records", async () => {
    const { c, store } = lab();
    await Promise.all([c.incr("a"), c.incr("b"), c.incr("a"), c.sadd("c", "x")]);
    expect(store.count("load")).toBe(3);
    expect(store.count("compareAndSet")).toBe(3);
    expect(await c.getInt("a")).toBe(2);
  });

  it("are a thousand at most that share, and then the next", async () => {
    const { c, store } = lab();
    const sums = await Promise.all(Array.from({ length: 2_500 }, () => c.incr("a")));
    expect(sums).toEqual(Array.from({ length: 2_500 }, (_, i) => i + 1));
    expect(store.count("compareAndSet")).toBe(3);
    expect(store.conflicts).toBe(0);
  });

  it("have an outcome each: one that fails changes nothing for the others", async () => {
    const { c, clock, store } = lab();
    await c.incr("a", Number.MAX_SAFE_INTEGER - 2);
    const broken = c.run("kv.incr", "a", { op: "o", ttlMs: 0, delta: null } as never);
    const work = [c.incr("a"), c.sadd("a", "x"), broken, c.incr("a", 5), c.incr("a")];
    const outcomes = await settled(clock, work);
    expect([outcomes[0], outcomes[4]]).toEqual([Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER]);
    expect(outcomes[1]).toMatchObject({ code: "conflict" });
    expect(outcomes[3]).toMatchObject({ code: "limit_exceeded" });
    expect(await c.getInt("a")).toBe(Number.MAX_SAFE_INTEGER);
    expect(store.count("compareAndSet")).toBe(2);
  });

  it("begin again together when another instance was first", async () => {
    const { c, coordinator, clock, store } = lab();
    await c.incr("a");
    store.faults = {
      before: once(() =>
        coordinator()
          .incr("a", 100)
          .then(() => {}),
      ),
    };
    expect(await settled(clock, [c.incr("a"), c.incr("a"), c.getInt("a")])).toEqual([102, 103, 103]);
    expect(store.conflicts).toBe(1);
  });

  it("are found together behind a reply that was lost", async () => {
    const { c, clock, store } = lab({ after: once(lost) });
    expect(await settled(clock, [c.incr("a", 3), c.setIfAbsent("a", 60), c.incr("a", 4)])).toEqual([3, false, 7]);
    expect(store.count("compareAndSet")).toBe(1);
  });

  it("tell each whether it may have landed, and send again only what may be sent twice", async () => {
    const { c, coordinator, clock, store } = lab();
    const tracker = new CompletionTracker(c);
    await tracker.register("g", 10);
    const overwritten = async (): Promise<never> => {
      store.faults = {};
      await coordinator().run("completion.ack", "g", acks("other"));
      return lost();
    };
    store.faults = { after: once(overwritten) };
    const once1 = c.run("completion.decrement", "g", { op: "d", by: 1 }, { resend: false });
    const outcomes = await settled(clock, [tracker.ack("g", "a"), once1, tracker.status("g")]);
    expect(outcomes).toMatchObject([{ verdict: "accepted" }, { applied: "unknown" }, { succeeded: 3 }]);
    expect(await tracker.status("g")).toMatchObject({ succeeded: 3 });
    store.faults = { before: (call) => (call === "compareAndSet" ? lost() : undefined) };
    const failed = await settled(clock, [tracker.ack("g", "b"), tracker.status("g")]);
    expect(failed).toMatchObject([
      { code: "backend_unavailable", applied: "unknown" },
      { code: "backend_unavailable", applied: "no" },
    ]);
  });

  it("go on without those whose callers have left, and end with the last of them", async () => {
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { c, clock, store } = lab({ before: (call) => (call === "load" ? held : undefined) });
    const controller = new AbortController();
    const run = (delta: number, signal?: AbortSignal) =>
      c.run("kv.incr", "a", { op: `o${delta}`, ttlMs: 0, delta }, { signal });
    const work = [run(1, controller.signal), run(10), run(100, controller.signal)];
    const outcomes = settled(clock, work);
    await settle();
    const reason = new Error("gone");
    controller.abort(reason);
    answer();
    expect(await outcomes).toEqual([reason, { result: "10" }, reason]);
    // Those who left are no contention.
    expect(store.calls).toEqual(["load", "compareAndSet"]);
    expect(await c.getInt("a")).toBe(10);
    expect(clock.pending).toBe(0);
    const alone = new AbortController();
    store.calls.length = 0;
    store.faults = { before: never };
    const both = [run(2, alone.signal), run(3, alone.signal)];
    const ended = settled(clock, both);
    await settle();
    alone.abort(reason);
    expect(await ended).toEqual([reason, reason]);
    expect(store.calls).toEqual(["load"]);
    expect(clock.pending).toBe(0);
  });

  it("are written while the record has room; the others fail with limit_exceeded", async () => {
    const { c, clock, store } = lab({}, { maxRecordBytes: 3_000 });
    await c.rpush("list", "x".repeat(500));
    const work = [400, 1_000, 300, 1_000, 200].map((length) => c.rpush("list", "é".repeat(length)));
    const outcomes = await settled(clock, work);
    expect(outcomes[0]).toBe(2);
    expect(outcomes[1]).toMatchObject({ code: "limit_exceeded", applied: "no", retryable: false });
    expect(outcomes[2]).toBe(3);
    expect(outcomes[3]).toMatchObject({ code: "limit_exceeded" });
    expect(outcomes[4]).toMatchObject({ code: "limit_exceeded" });
    const data = store.records.get("kv:list")?.data ?? "";
    expect(new TextEncoder().encode(data).length).toBeLessThanOrEqual(3_000);
    expect((await c.lrange("list")).map((item) => item.length)).toEqual([500, 400, 300]);
  });

  it("share one load with a watch that begins in the same turn", async () => {
    const { c, store } = lab();
    await c.run("completion.register", "g", registration());
    store.calls.length = 0;
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: 0 }).catch((error: unknown) => error);
    const [ack, early] = await Promise.all([c.run("completion.ack", "g", acks("a")), waiting]);
    expect(ack.results[0]?.ended).toBe(true);
    // It looked before the ack.
    expect(early).toMatchObject({ code: "wait_timeout" });
    expect(store.calls).toEqual(["load", "compareAndSet"]);
  });
});
