import { describe, expect, it, vi } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import type { BackendDefinition, NextRecord } from "../../src/backends/custom/definition.js";
import {
  CompletionTracker,
  CoordinationError,
  type Coordinator,
  type CoordinatorEvent,
  type DrainableCoordinator,
  isDrainable,
  RequestWaitTracker,
} from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";
import { overshootMs } from "../support/overshoot.js";
import { type Faults, VersionedStore } from "./custom-store.js";
import { incrOnce } from "./once.js";

type WithDue = BackendDefinition & Required<Pick<BackendDefinition, "due">>;

/** A store, and coordinators over it whose time stands still until it is moved. */
function lab(faults: Faults = {}, options: Partial<BackendDefinition> = {}) {
  const clock = new ManualClock();
  const store = new VersionedStore(faults);
  const coordinator = (more: Partial<BackendDefinition> = {}): DrainableCoordinator =>
    defineBackend({ ...store.definition, clock, random: () => 0.5, ...options, ...more } as WithDue);
  return { clock, store, coordinator, c: coordinator() };
}

/** The work's outcome, the clock moved as long as it takes; what it rejects with comes as a value. */
async function outcomeOf(clock: ManualClock, work: Promise<unknown>): Promise<unknown> {
  let isOver = false;
  const outcome = work
    .catch((error: unknown) => error)
    .finally(() => {
      isOver = true;
    });
  for (let i = 0; i < 1_000 && !isOver; i++) await clock.advance(20);
  return outcome;
}

/** Does it the first time, nothing afterwards. */
function once(fault: (name: string, store: VersionedStore) => void | Promise<void>, call = "compareAndSet") {
  let isDone = false;
  const first: Faults["before"] = (one, name, store) => {
    if (isDone || one !== call) return;
    isDone = true;
    return fault(name, store);
  };
  return first;
}

const lost = (): never => {
  throw new Error("the connection was lost");
};
const never = (): Promise<never> => new Promise(() => {});
const registration = (total = 1, timeoutMs = 0) => ({
  op: crypto.randomUUID(),
  fingerprint: "s",
  kind: "counted" as const,
  lists: [],
  total,
  timeoutMs,
  ttlMs: 600_000,
  deliveryId: "d",
});
const acks = (...ids: string[]) => ({ op: crypto.randomUUID(), tasks: ids.map((id) => ({ id })), earlyTtlMs: 300_000 });

/** Keeps the events of failures: that a group was registered, or has ended, is no subject of these tests. */
const failuresTo =
  (events: CoordinatorEvent[]) =>
  (event: CoordinatorEvent): void => {
    if (event.type !== "registered" && event.type !== "ended") events.push(event);
  };

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

describe("a reply to a write that is lost", () => {
  it("is found in the record, when the write landed: nothing is sent again", async () => {
    const { c, clock, store } = lab({ after: once(lost) });
    expect(await outcomeOf(clock, c.incr("key", 3))).toBe(3);
    store.faults = { after: once(lost) };
    expect(await outcomeOf(clock, c.incr("key", 4))).toBe(7);
    expect(await c.getInt("key")).toBe(7);
    expect(store.count("compareAndSet")).toBe(2);
  });

  it("is made good by another write, when it never came onto the same version", async () => {
    const { c, clock, store } = lab();
    await c.incr("key", 1);
    store.faults = { before: once(lost) };
    expect(await outcomeOf(clock, c.incr("key", 2))).toBe(3);
    expect(await c.getInt("key")).toBe(3);
  });

  it("counts once though the lost write comes late", async () => {
    const { c, clock, store } = lab();
    await c.incr("key", 1);
    // The first one comes once the second has been sent, which then loses against it, or has won.
    for (const isFirst of [true, false]) {
      let late: (() => Promise<boolean>) | undefined;
      const inner = store.definition;
      const delaying = defineBackend({
        ...inner,
        clock,
        compareAndSet: async (name, version, next) => {
          if (late === undefined) {
            late = () => inner.compareAndSet(name, version, next);
            return lost();
          }
          if (isFirst) await late();
          const isSet = await inner.compareAndSet(name, version, next);
          if (!isFirst) await late();
          return isSet;
        },
      });
      const before = await c.getInt("key");
      expect(await outcomeOf(clock, delaying.incr("key", 5))).toBe(before + 5);
      expect(await c.getInt("key")).toBe(before + 5);
    }
  });

  it("is recognized behind the answer to a copy, of a client that sends again by itself", async () => {
    const { c, clock, store } = lab();
    await c.incr("key", 1);
    const inner = store.definition;
    const resending = defineBackend({
      ...inner,
      clock,
      compareAndSet: async (name, version, next) => {
        await inner.compareAndSet(name, version, next);
        return inner.compareAndSet(name, version, next);
      },
    });
    expect(await outcomeOf(clock, resending.incr("key", 5))).toBe(6);
    expect(await c.getInt("key")).toBe(6);
  });

  it("stays open when others have written since: then only what may be sent twice goes on", async () => {
    const { c, coordinator, clock, store } = lab();
    const overwritten = async (): Promise<never> => {
      store.faults = {};
      await coordinator().incr("key", 10);
      return lost();
    };
    await c.incr("key", 1);
    store.calls.length = 0;
    store.faults = { after: once(overwritten) };
    const input = { op: "op", ttlMs: 60_000, delta: 100 };
    expect(await outcomeOf(clock, c.run("kv.incr", "key", input, { resend: false }))).toMatchObject({
      code: "backend_unavailable",
      retryable: true,
      applied: "unknown",
      cause: new Error("the connection was lost"),
    });
    expect(store.calls).toEqual(["load", "compareAndSet", "load", "compareAndSet", "load"]);
    expect(await c.getInt("key")).toBe(111);

    await c.run("completion.register", "g", registration(2));
    const ackedByAnother = async (): Promise<never> => {
      store.faults = {};
      await coordinator().run("completion.ack", "g", acks("b"));
      return lost();
    };
    store.faults = { after: once(ackedByAnother) };
    const outcome = await outcomeOf(clock, c.run("completion.ack", "g", acks("a")));
    expect(outcome).toMatchObject({ results: [{ verdict: "accepted", state: "completed", remaining: 0 }] });
  });

  it("leaves open whether a record was made, unless it may be sent twice", async () => {
    const { c, clock, store } = lab({ before: once(lost) });
    expect(await outcomeOf(clock, incrOnce(c, "key"))).toMatchObject({ retryable: true, applied: "unknown" });
    expect(await c.getInt("key")).toBe(0);
    store.faults = { before: once(lost) };
    expect(await outcomeOf(clock, c.incr("key"))).toBe(1);
    store.faults = { after: once(lost) };
    expect(await outcomeOf(clock, c.incr("key"))).toBe(2);
    store.faults = { before: once(lost) };
    expect(await outcomeOf(clock, c.setIfAbsent("flag", 60))).toBe(true);
    store.faults = { after: once(lost) };
    expect(await outcomeOf(clock, c.setIfAbsent("flag2", 60))).toBe(true);
  });

  it("is of no consequence where a read has removed what had expired", async () => {
    const { c, clock, store } = lab();
    await c.incr("key");
    await c.delete("key");
    await clock.advance(60_000);
    store.faults = { after: once(lost, "remove") };
    expect(await outcomeOf(clock, c.getInt("key"))).toBe(0);
    expect(store.records.size).toBe(0);
  });

  it("of a read that applied a deadline is of no consequence", async () => {
    const { c, clock, store } = lab();
    await c.run("completion.register", "g", registration(1, 1_000));
    await clock.advance(1_000);
    store.faults = { after: (call) => (call === "compareAndSet" ? lost() : undefined) };
    expect(await outcomeOf(clock, c.run("completion.status", "g", {}))).toMatchObject({ view: { state: "timed_out" } });
    store.faults = {};
    await c.run("completion.register", "g2", registration(1, 1_000));
    await clock.advance(1_000);
    store.faults = { before: (call) => (call === "compareAndSet" ? lost() : undefined) };
    const failed = await outcomeOf(clock, c.run("completion.status", "g2", {}));
    expect(failed).toMatchObject({ applied: "no", cause: new Error("the connection was lost") });
  });
});

describe("a store that throws", () => {
  it("is asked three times, and then it is unavailable", async () => {
    const { c, clock, store } = lab({ before: (call) => (call === "load" ? lost() : undefined) });
    expect(await outcomeOf(clock, c.incr("key"))).toMatchObject({
      code: "backend_unavailable",
      message: "the backend's load failed",
      retryable: true,
      applied: "no",
      cause: new Error("the connection was lost"),
    });
    expect(store.count("load")).toBe(3);
    store.faults = { before: (call) => (call === "compareAndSet" ? lost() : undefined) };
    const outcome = await outcomeOf(clock, c.setIfAbsent("flag", 60));
    expect(outcome).toMatchObject({ message: "the backend's compareAndSet failed", applied: "unknown" });
    expect(store.count("compareAndSet")).toBe(3);
    expect(store.records.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("at once, before it makes a promise, is the same", async () => {
    const { c, clock } = lab({}, { load: lost });
    expect(await outcomeOf(clock, c.getInt("key"))).toMatchObject({ code: "backend_unavailable", applied: "no" });
  });

  it("may recover", async () => {
    const { c, clock } = lab({ before: once(lost, "load") });
    expect(await outcomeOf(clock, c.incr("key"))).toBe(1);
  });

  it("an error of this library's is heard as it is", async () => {
    const wish = (options: object) => () => {
      throw new CoordinationError("rate_limited", "later", options);
    };
    const { c, clock, store } = lab({ before: once(wish({ retryable: true, retryAfterMs: 4_000 })) });
    const work = c.incr("key");
    await clock.advance(3_900);
    expect(store.count("compareAndSet")).toBe(1);
    await clock.advance(200);
    expect(await work).toBe(1);
    store.faults = { before: once(wish({ retryable: true, retryAfterMs: 6_000 })) };
    const impatient = { code: "rate_limited", message: "later", retryAfterMs: 6_000, applied: "no" };
    await expect(c.incr("key")).rejects.toMatchObject(impatient);
    store.faults = { before: once(wish({})) };
    await expect(c.incr("key")).rejects.toMatchObject({ code: "rate_limited", retryable: false, applied: "no" });
    store.faults = { before: once(wish({ applied: "unknown" })) };
    await expect(c.incr("key")).rejects.toMatchObject({ code: "rate_limited", applied: "unknown" });
    expect(await c.getInt("key")).toBe(1);
  });
});

describe("an answer of another shape", () => {
  const CANARY = "canary-7f3a";
  const content = (more: object, lines = ""): string => {
    return JSON.stringify({ layout: 2, stamp: "s", length: lines.length, head: "{}", ...more }) + lines;
  };

  it.each([
    ["nothing at all", undefined],
    ["a text", CANARY],
    ["a number for a version", { version: 1, data: content({}) }],
    ["no data", { version: "1" }],
    ["data that is no JSON", { version: "1", data: CANARY }],
    ["data of another program", { version: "1", data: JSON.stringify({ canary: CANARY }) }],
    ["data of an earlier layout", { version: "1", data: content({ layout: 1 }) }],
    ["data that was cut", { version: "1", data: content({}, `\n"t:a"\t"${CANARY}"`).slice(0, -1) }],
    ["data that was added to", { version: "1", data: `${content({}, `\n"t:a"\t""`)}\n"t:b"\t"${CANARY}"` }],
    ["a member that is no text", { version: "1", data: content({}, `\n"x:o"\t5`) }],
    ["a member that is no JSON", { version: "1", data: content({}, `\n"x:o"\t${CANARY}`) }],
    ["a head that is no JSON", { version: "1", data: content({ head: CANARY }) }],
    ["null for data", { version: "1", data: "null" }],
  ])("to load is refused: %s", async (_, reply) => {
    const { c, store } = lab({}, { load: async () => reply as never });
    const input = { op: "o", ttlMs: 0, delta: 1 };
    const error = await c.run("kv.incr", "key", input).catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "backend_rejected", retryable: false, applied: "no" });
    expect((error as Error).message).not.toContain(CANARY);
    expect(store.calls).toEqual([]);
  });

  it("to load that a later version wrote is refused", async () => {
    const { c } = lab({}, { load: async () => ({ version: "1", data: content({ layout: 3, members: {} }) }) });
    await expect(c.getInt("key")).rejects.toMatchObject({
      code: "backend_rejected",
      message: "the record was written by a later version",
    });
    const head = JSON.stringify({ schema: 9, fields: {} });
    const later = lab({}, { load: async () => ({ version: "1", data: content({ head }) }) });
    await expect(later.c.getInt("key")).rejects.toMatchObject({ message: "kv.getInt: newer_schema" });
  });

  it.each([undefined, null, 1, "true", {}])("to compareAndSet leaves open what happened: %s", async (reply) => {
    const { c } = lab({}, { compareAndSet: async () => reply as never });
    await expect(c.incr("key")).rejects.toMatchObject({
      code: "backend_rejected",
      message: expect.stringContaining("compareAndSet"),
      retryable: false,
      applied: "unknown",
    });
  });

  it.each([undefined, null, "1", Number.NaN, Number.POSITIVE_INFINITY])("to now is refused: %s", async (reply) => {
    const { c, store } = lab({}, { now: () => reply as never });
    await expect(c.incr("key")).rejects.toMatchObject({
      code: "backend_rejected",
      message: expect.stringContaining("now"),
      applied: "no",
    });
    expect(store.records.size).toBe(0);
  });

  it.each([
    ["nothing", undefined],
    ["no list", {}],
  ])("to due is refused: %s", async (_, reply) => {
    const { c } = lab({}, { due: async () => reply as never });
    await expect(c.drain()).rejects.toMatchObject({
      code: "backend_rejected",
      message: expect.stringContaining("due"),
    });
  });

  it.each([
    ["a line without an instant", { name: "completion:g" }],
    ["a line without a name", { atMs: 1 }],
    ["no line", null],
    ["no instant", { name: "completion:g", atMs: Number.NaN }],
    ["a name that was never given", { name: "g", atMs: 1 }],
    ["a name that is cut", { name: "completion:%C3%A", atMs: 1 }],
  ])("row 45: from due is reported once, and the drain still wakes other records: %s", async (_, line) => {
    const events: CoordinatorEvent[] = [];
    const made = lab({}, { onEvent: failuresTo(events) });
    await made.c.run("completion.register", "g", registration(1, 1_000));
    const { definition } = made.store;
    const due = async (limit: number) => [...Array(20).fill(line), ...(await definition.due(limit))].slice(0, limit);
    const c = made.coordinator({ due, onEvent: failuresTo(events) });
    await made.clock.advance(2_000);
    expect(await c.drain({ limit: 1 })).toEqual({ woken: 1, left: false, nextDueAtMs: undefined });
    expect((await made.c.run("completion.status", "g", {})).view?.state).toBe("timed_out");
    const error = { code: "backend_rejected", message: expect.stringContaining("due") };
    expect(events).toMatchObject([{ type: "drain_failed", error }]);
  });
});

describe("the time that decides", () => {
  it("is the store's, beside each load", async () => {
    let nowMs = 5_000_000.75;
    const { c, store } = lab({}, { now: async () => nowMs });
    const { view } = await c.run("completion.register", "g", registration(1, 1_000));
    expect(view).toMatchObject({ generation: 5_000_000, deadlineAtMs: 5_001_000 });
    expect(store.records.get("completion:g")).toMatchObject({ wakeAtMs: 5_001_000, expiresAtMs: 5_601_000 });
    nowMs += 1_000;
    expect((await c.run("completion.status", "g", {})).view?.state).toBe("timed_out");
  });

  it("is taken anew for each attempt", async () => {
    const { c, clock, store } = lab();
    await c.run("completion.register", "g", registration(1, 1_000));
    store.faults = {
      before: once(async (name) => {
        store.touch(name);
        await clock.advance(1_000);
      }),
    };
    const outcome = await outcomeOf(clock, c.run("completion.ack", "g", acks("a")));
    expect(outcome).toMatchObject({ results: [{ verdict: "late", state: "timed_out" }] });
  });
});

describe("an operation that gets no answer", () => {
  it.each([
    ["load", "no"],
    ["now", "no"],
    ["compareAndSet", "unknown"],
  ])("of %s ends at its time, and says that what may have landed is: %s", async (call, applied) => {
    const { c, clock } = lab({}, { callTimeoutMs: 1_000, [call]: never });
    const outcome = c.incr("key").catch((error: unknown) => error);
    await clock.advance(999);
    expect(clock.pending).toBeGreaterThan(0);
    await clock.advance(1);
    expect(await outcome).toMatchObject({
      code: "backend_unavailable",
      message: "the backend gave no answer in time",
      retryable: true,
      applied,
    });
    expect(clock.pending).toBe(0);
  });

  it.each(["time", "abort"])("writes nothing when a load answers after its end (%s)", async (end) => {
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { c, clock, store } = lab({ before: (call) => (call === "load" ? held : undefined) });
    const controller = new AbortController();
    const input = { op: "o", ttlMs: 0, delta: 1 };
    const outcome = c.run("kv.incr", "key", input, { signal: controller.signal }).catch((error: unknown) => error);
    await settle();
    if (end === "abort") controller.abort(new Error("gone"));
    else await clock.advance(10_000);
    expect(await outcome).toMatchObject(end === "abort" ? { message: "gone" } : { code: "backend_unavailable" });
    answer();
    await settle();
    expect(store.calls).toEqual(["load"]);
    expect(clock.pending).toBe(0);
  });

  it("passes the caller's abort to the store, and leaves no listener", async () => {
    const seen: AbortSignal[] = [];
    const load: BackendDefinition["load"] = (_, { signal }) => {
      seen.push(signal);
      return never();
    };
    const { c } = lab({}, { load });
    const { signal, abort, listeners } = countingSignal();
    const outcome = c.run("kv.getInt", "key", {}, { signal }).catch((error: unknown) => error);
    await settle();
    expect(seen.map(({ aborted }) => aborted)).toEqual([false]);
    const reason = new Error("gone");
    abort(reason);
    expect(await outcome).toBe(reason);
    expect(seen.map(({ aborted }) => aborted)).toEqual([true]);
    expect(listeners()).toBe(0);
  });
});

/** A signal that counts its listeners. */
function countingSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const active = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: never, options?: never) => {
    active.add(listener);
    add(type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: never) => {
    active.delete(listener);
    remove(type, listener);
  };
  return { signal, abort: (reason: unknown) => controller.abort(reason), listeners: () => active.size };
}

describe("a watch", () => {
  const DAY_MS = 86_400_000;

  it("looks ever more seldom, every two seconds in the end", async () => {
    const { c, clock, store } = lab({}, { random: () => 1 });
    await c.run("completion.register", "g", registration());
    store.calls.length = 0;
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS }).catch(() => {});
    const looks: number[] = [];
    for (const ms of [0, 50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 60_000]) {
      await clock.advance(ms);
      looks.push(store.count("load"));
    }
    expect(looks).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 39]);
    await c.run("completion.ack", "g", acks("a"));
    await waiting;
    expect(clock.pending).toBe(0);
  });

  it("hears of this instance's own writes at once", async () => {
    const { c, clock, store } = lab();
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await clock.advance(10_000);
    await c.run("completion.register", "g", registration());
    await settle();
    store.calls.length = 0;
    await c.run("completion.ack", "g", acks("a"));
    expect((await waiting).view?.state).toBe("completed");
    expect(store.calls).toEqual(["load", "compareAndSet", "load"]);
    expect(clock.pending).toBe(0);
  });

  it("misses no write of this instance while it looks", async () => {
    const { c, coordinator, clock, store } = lab();
    await c.run("completion.register", "g", registration());
    // The ack lands after the look has read, and before its answer comes.
    store.faults = {
      after: once(async () => {
        store.faults = {};
        await c.run("completion.ack", "g", acks("a"));
      }, "load"),
    };
    expect((await c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS })).ready).toBe(true);
    expect((await coordinator().watch("completion.wait", "g", {}, { timeoutMs: 0 })).ready).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("hears of another's write by looking", async () => {
    const { c, coordinator, clock } = lab();
    await c.run("completion.register", "g", registration());
    let isOver = false;
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS }).then((output) => {
      isOver = true;
      return output;
    });
    await clock.advance(60_000);
    await coordinator().run("completion.ack", "g", acks("a"));
    expect(isOver).toBe(false);
    await clock.advance(2_000);
    expect((await waiting).view?.state).toBe("completed");
  });

  it("comes back at the instant that its output named", async () => {
    const { c, coordinator, clock, store } = lab();
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await clock.advance(60_000);
    await c.run("completion.register", "g", registration(1, 1_000));
    await settle();
    store.calls.length = 0;
    await clock.advance(1_010);
    expect((await waiting).view?.state).toBe("timed_out");
    expect(store.count("load")).toBeLessThan(4);
    expect((await coordinator().run("completion.status", "g", {})).view?.state).toBe("timed_out");
  });

  it("rejects after its timeout, also when the store never answers", async () => {
    for (const faults of [{}, { before: never }]) {
      const { c, clock } = lab(faults);
      const outcome = c.watch("completion.wait", "g", {}, { timeoutMs: 30_000 }).catch((error: unknown) => error);
      await clock.advance(30_000);
      expect(await outcome).toMatchObject({ code: "wait_timeout", retryable: true });
      expect(clock.pending).toBe(0);
    }
  });

  it("rejects at most 100 ms late when the store never answers", async () => {
    const { load, compareAndSet } = new VersionedStore({ before: never }).definition;
    const c = defineBackend({ load, compareAndSet });
    expect(await overshootMs(200, () => c.watch("completion.wait", "g", {}, { timeoutMs: 200 }))).toBeLessThan(100);
    const tracker = new CompletionTracker(c);
    expect(await overshootMs(200, () => tracker.wait("g", { timeoutMs: 200 }))).toBeLessThan(100);
  });

  it.each([{}, { before: never }])(
    "that is aborted rejects with the reason, and leaves nothing behind",
    async (faults) => {
      const leave = vi.fn();
      const { c, clock } = lab(faults, { subscribe: () => leave });
      const { signal, abort, listeners } = countingSignal();
      const outcome = c
        .watch("completion.wait", "g", {}, { timeoutMs: 30_000, signal })
        .catch((error: unknown) => error);
      await clock.advance(100);
      const reason = new Error("gone");
      abort(reason);
      expect(await outcome).toBe(reason);
      await settle();
      expect(clock.pending).toBe(0);
      expect(listeners()).toBe(0);
      expect(leave).toHaveBeenCalledTimes("before" in faults ? 0 : 1);
      await expect(c.watch("completion.wait", "g", {}, { timeoutMs: 9, signal })).rejects.toBe(reason);
    },
  );

  it("with no time looks once, as long as one operation may take", async () => {
    const { c, clock, store } = lab({}, { callTimeoutMs: 1_000 });
    await expect(c.watch("completion.wait", "g", {}, { timeoutMs: 0 })).rejects.toMatchObject({ code: "wait_timeout" });
    expect(store.calls).toEqual(["load"]);
    store.faults = { before: once(lost, "load") };
    const failing = outcomeOf(clock, c.watch("completion.wait", "g", {}, { timeoutMs: 0 }));
    expect(await failing).toMatchObject({ code: "wait_timeout" });
    store.faults = { before: never };
    const silent = outcomeOf(clock, c.watch("completion.wait", "g", {}, { timeoutMs: 0 }));
    expect(await silent).toMatchObject({ code: "backend_unavailable" });
    expect(clock.pending).toBe(0);
  });

  it("row 54: outlives one lost answer under a single look, as a status does", async () => {
    const { c, clock, store } = lab();
    await c.run("completion.register", "g", registration(0));
    for (const look of [
      () => c.run("completion.status", "g", {}),
      () => c.watch("completion.wait", "g", {}, { timeoutMs: 0 }),
    ]) {
      store.faults = { before: once(lost, "load") };
      expect(await outcomeOf(clock, look())).toMatchObject({ view: { state: "completed" } });
    }
  });

  it("row 58: calls a plain function by the ack of its own instance, and by no look that is due", async () => {
    const { c, clock, store } = lab();
    const calls: string[] = [];
    const tracker = new CompletionTracker(c);
    await tracker.register("g", ["a"], { onEnd: ({ state }) => void calls.push(state) });
    await clock.advance(60_000);
    const looks = store.count("load");
    await tracker.ack("g", "a");
    await settle();
    expect([calls, store.count("load") - looks]).toEqual([["completed"], 3]);
    expect(clock.pending).toBe(0);
  });

  it("row 52: shares one load with all watches of the same record", async () => {
    const { c, clock, store } = lab();
    await c.run("completion.register", "g", registration());
    store.calls.length = 0;
    const waits = Array.from({ length: 1_000 }, () => c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS }));
    await clock.advance(60_000);
    expect(store.count("load")).toBeLessThan(40);
    store.calls.length = 0;
    await c.run("completion.ack", "g", acks("a"));
    expect(new Set(await Promise.all(waits)).size).toBe(1);
    expect(store.calls).toEqual(["load", "compareAndSet", "load"]);
    expect(clock.pending).toBe(0);
  });

  it("waits out what passes, ever more patiently, and nothing else", async () => {
    const { c, coordinator, clock, store } = lab();
    await c.run("completion.register", "g", registration());
    store.calls.length = 0;
    store.faults = { before: lost };
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await clock.advance(60_000);
    expect(store.count("load")).toBeLessThan(60);
    expect(store.count("load")).toBeGreaterThan(25);
    store.faults = {};
    await coordinator().run("completion.ack", "g", acks("a"));
    await clock.advance(2_000);
    expect((await waiting).ready).toBe(true);
    const broken = lab({}, { load: async () => "broken" as never });
    const wait = broken.c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await expect(wait).rejects.toMatchObject({ code: "backend_rejected" });
    expect(broken.clock.pending).toBe(0);
  });

  it("looks again after an operation's time, when a look gets no answer", async () => {
    const { c, clock, store } = lab({ before: once(never, "load") });
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await clock.advance(20_000);
    expect(store.count("load")).toBeGreaterThan(1);
    await c.run("completion.register", "g", registration(0));
    await waiting;
  });

  it("in the background has timers that keep no process alive, and no subscription", async () => {
    const { clock, coordinator, store } = lab();
    const timers: boolean[] = [];
    const setTimer: typeof clock.setTimer = (run, delayMs) => clock.setTimer(run, delayMs);
    const watched = {
      now: () => clock.now(),
      setTimer: (run: () => void, delayMs: number, options?: { background?: boolean }) => {
        timers.push(options?.background === true);
        return setTimer(run, delayMs);
      },
    };
    const subscribe = vi.fn(() => () => {});
    const c = coordinator({ clock: watched, subscribe });
    await coordinator().run("completion.register", "g", registration(1, 30_000));
    // It gives way to another once, as it applies the deadline.
    store.faults = { before: once((name) => store.touch(name)) };
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: 60_000, background: true });
    await clock.advance(31_000);
    expect((await waiting).ready).toBe(true);
    // Seldom: every five seconds in the end.
    expect(store.count("load")).toBeLessThan(18);
    expect(store.conflicts).toBe(1);
    expect(timers.length).toBeGreaterThan(10);
    expect(timers).not.toContain(false);
    expect(subscribe).not.toHaveBeenCalled();
  });
});

describe("a subscription", () => {
  const DAY_MS = 86_400_000;

  it("makes a watch look at once, is slow to look by itself, and ends with it", async () => {
    const rings = new Map<string, () => void>();
    const subscribe = (name: string, ring: () => void) => {
      rings.set(name, ring);
      return () => void rings.delete(name);
    };
    const { c, coordinator, clock, store } = lab({}, { subscribe, random: () => 1 });
    await c.run("completion.register", "g é", registration());
    const waiting = c.watch("completion.wait", "g é", {}, { timeoutMs: DAY_MS });
    await clock.advance(60_000);
    expect([...rings.keys()]).toEqual(["completion:g%20%C3%A9"]);
    store.calls.length = 0;
    await clock.advance(60_000);
    expect(store.count("load")).toBe(12);
    await coordinator().run("completion.ack", "g é", acks("a"));
    rings.get("completion:g%20%C3%A9")?.();
    expect((await waiting).ready).toBe(true);
    expect(rings.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it("is not made for what is ready already", async () => {
    const subscribe = vi.fn(() => () => {});
    const { c } = lab({}, { subscribe });
    await c.run("completion.register", "g", registration(0));
    await c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    expect(subscribe).not.toHaveBeenCalled();
  });

  it("that fails costs time alone, and is tried again", async () => {
    let calls = 0;
    const subscribe = (): (() => void) => {
      if (++calls < 4) throw new Error("no socket");
      return lost;
    };
    const { c, coordinator, clock } = lab({}, { subscribe });
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await clock.advance(60_000);
    expect(calls).toBe(4);
    await coordinator().run("completion.register", "g", registration(0));
    await clock.advance(5_000);
    // It throws at its end too.
    expect((await waiting).ready).toBe(true);
  });

  it.each([undefined, Promise.resolve(() => {})])("that gives no function is refused: %s", async (reply) => {
    const { c, clock } = lab({}, { subscribe: () => reply as never });
    const waiting = c.watch("completion.wait", "g", {}, { timeoutMs: DAY_MS });
    await expect(waiting).rejects.toMatchObject({
      code: "backend_rejected",
      message: expect.stringContaining("subscribe"),
    });
    expect(clock.pending).toBe(0);
  });
});

describe("a record that is due", () => {
  const onComplete = { handler: "publish", payload: 1 } as const;

  it("is woken by the call that made it so, with that call's waitUntil", async () => {
    const { c } = lab();
    const delivered: string[] = [];
    const handlers = { publish: () => void delivered.push("published") };
    const tracker = new CompletionTracker(c, { handlers });
    await tracker.register("g", ["a"], { onComplete });
    const kept: Promise<unknown>[] = [];
    await c.run("completion.ack", "g", acks("a"), { waitUntil: (work) => void kept.push(work) });
    expect(kept).toHaveLength(1);
    await Promise.all(kept);
    expect(delivered).toEqual(["published"]);
    expect((await tracker.status("g"))?.delivery.state).toBe("delivered");
  });

  it("is woken once for each tracker that may deliver it", async () => {
    const { c, store } = lab();
    const delivered: string[] = [];
    for (const name of ["other", "publish", "another"]) {
      new CompletionTracker(c, { handlers: { [name]: () => void delivered.push(name) } });
    }
    await new CompletionTracker(c).register("g2", 0, { onComplete });
    await settle(8);
    expect(delivered).toEqual(["publish"]);
    // The registration, three times woken, settled: the last two in one turn.
    expect(store.count("load")).toBe(4);
  });

  it("acks the task of a waiting request without a handler, and is not loaded again for a missing handler", async () => {
    const { c, store } = lab();
    const requests = new RequestWaitTracker(c, { stages: ["build"] });
    await requests.register("r");
    await requests.add("r", "build", "g");
    const tracker = new CompletionTracker(c);
    const task = { requestId: "r", stage: "build", taskId: "g" } as const;
    await tracker.register("g", ["a"], { onComplete: { task } });
    await tracker.ack("g", "a");
    await settle();
    expect(await requests.status("r")).toMatchObject({ state: "complete", stages: { build: { processed: 1 } } });
    await new CompletionTracker(c).register("other", 0, { onComplete });
    await settle();
    store.calls.length = 0;
    await tracker.status("other");
    await settle();
    expect(store.calls).toEqual(["load"]);
  });

  it("is woken by a watch that finds its deadline over", async () => {
    const { c, clock } = lab();
    const delivered: string[] = [];
    const handlers = { publish: () => void delivered.push("published") };
    const tracker = new CompletionTracker(c, { handlers });
    await tracker.register("g", ["a"], { onTimeout: onComplete, timeoutSec: 60 });
    const waiting = tracker.wait("g", { timeoutMs: 120_000 });
    await clock.advance(61_000);
    expect((await waiting)?.state).toBe("timed_out");
    await settle();
    expect(delivered).toEqual(["published"]);
  });

  it("is reported when it cannot be woken, and the call is none the worse", async () => {
    const events: object[] = [];
    const { c, coordinator, clock, store } = lab({}, { onEvent: (event) => void events.push(event) });
    new CompletionTracker(c, { handlers: { publish: () => {} } });
    await new CompletionTracker(coordinator()).register("g", ["a"], { onComplete });
    const breakDown = (): void => {
      store.faults = { before: lost };
    };
    store.faults = { after: once(breakDown) };
    const { results } = await c.run("completion.ack", "g", acks("a"));
    expect(results[0]?.ended).toBe(true);
    await clock.advance(10_000);
    const error = expect.objectContaining({ code: "backend_unavailable" });
    expect(events).toContainEqual({ type: "wake_failed", machine: "completion", id: "g", error });
  });
});

describe("a drain", () => {
  async function withDue(ids: readonly string[], timeoutMs = 1_000) {
    const made = lab();
    for (const [i, id] of ids.entries()) await made.c.run("completion.register", id, registration(1, timeoutMs + i));
    return made;
  }
  const stateOf = async (c: Coordinator, id: string) => (await c.run("completion.status", id, {})).view?.state;
  const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `g${i}é:`);
  const encodedName = (n: number): string => `completion:${encodeURIComponent(`g${n}é:`)}`;

  it("wakes what is due, and says when the next one is", async () => {
    const { c, clock, store } = await withDue(ids(3));
    const startMs = clock.now();
    expect(await c.drain()).toEqual({ woken: 0, left: false, nextDueAtMs: startMs + 1_000 });
    await clock.advance(1_001);
    store.calls.length = 0;
    expect(await c.drain()).toEqual({ woken: 2, left: false, nextDueAtMs: startMs + 1_002 });
    expect(store.count("due")).toBe(1);
    expect(store.records.get(`completion:${encodeURIComponent("g0é:")}`)?.wakeAtMs).toBeNull();
    await clock.advance(1);
    expect(await c.drain()).toEqual({ woken: 1, left: false, nextDueAtMs: undefined });
    expect(clock.pending).toBe(0);
  });

  it("stops at its limit, and says that something is left", async () => {
    const { c, clock } = await withDue(ids(7));
    await clock.advance(2_000);
    expect(await c.drain({ limit: 3 })).toMatchObject({ woken: 3, left: true, nextDueAtMs: clock.now() - 997 });
    expect(await c.drain({ limit: 4 })).toEqual({ woken: 4, left: false, nextDueAtMs: undefined });
  });

  it("stops when its time is over", async () => {
    const { c, clock, store } = await withDue(ids(40));
    await clock.advance(2_000);
    store.faults = { before: (call) => (call === "compareAndSet" ? clock.advance(100) : undefined) };
    const report = await c.drain({ budgetMs: 150 });
    expect(report).toMatchObject({ left: true });
    expect(report?.woken).toBeGreaterThan(0);
    expect(report?.woken).toBeLessThan(40);
    expect(await c.drain()).toMatchObject({ woken: 40 - (report?.woken ?? 0), left: false });
  });

  it("reaches what stands behind many that fail", async () => {
    const { c, clock, store } = await withDue(ids(40));
    await clock.advance(2_000);
    const isBroken = (name: string): boolean => Number(/g(\d+)/.exec(name)?.[1]) < 30;
    store.faults = { before: (call, name) => (call === "load" && isBroken(name) ? refuse() : undefined) };
    expect(await c.drain({ limit: 10 })).toEqual({ woken: 10, left: true, nextDueAtMs: undefined });
    expect(store.count("due")).toBeLessThan(16);
    store.faults = {};
    expect(await stateOf(c, "g39é:")).toBe("timed_out");
    // What could not be woken is put off by half a minute.
    expect(await c.drain()).toEqual({ woken: 0, left: false, nextDueAtMs: undefined });
    await clock.advance(30_000);
    expect(await c.drain()).toMatchObject({ woken: 30, left: false });
  });

  it("row 45: has the store list later what it could not wake, where the store can", async () => {
    const { clock, store, coordinator } = await withDue(ids(6));
    const putOff = async (name: string, atMs: number): Promise<void> => {
      const record = store.records.get(name);
      if (record !== undefined) store.records.set(name, { ...record, wakeAtMs: atMs });
    };
    for (const name of ["later:g", "nocolon"]) {
      store.records.set(name, {
        version: "1",
        data: "of another version",
        expiresAtMs: null,
        wakeAtMs: 1,
        list: null,
        listedAtMs: null,
      });
    }
    await clock.advance(2_000);
    const isBroken = (name: string): boolean => /g[0-3]/.test(name);
    store.faults = { before: (call, name) => (call === "load" && isBroken(name) ? refuse() : undefined) };
    expect(await coordinator({ putOff }).drain({ limit: 1 })).toMatchObject({ woken: 1, left: true });
    const later = [...store.records].filter(([, { wakeAtMs }]) => wakeAtMs === clock.now() + 30_000);
    expect(later.map(([name]) => name).sort()).toEqual(
      [0, 1, 2, 3].map((n) => encodedName(n)).concat("later:g", "nocolon"),
    );
    store.calls.length = 0;
    // A process that knows nothing of them meets none of them.
    expect(await coordinator({ putOff }).drain({ limit: 1 })).toMatchObject({ woken: 1 });
    expect(store.count("due")).toBe(1);
    expect(store.records.get("later:g")?.data).toBe("of another version");
  });

  it("row 45: skips a record that it could not postpone in the store, and reports the failure", async () => {
    const events: CoordinatorEvent[] = [];
    const { clock, coordinator, store } = await withDue(ids(1));
    store.records.set("later:g", {
      version: "1",
      data: "",
      expiresAtMs: null,
      wakeAtMs: 1,
      list: null,
      listedAtMs: null,
    });
    await clock.advance(2_000);
    const c = coordinator({ putOff: lost, onEvent: failuresTo(events) });
    expect(await c.drain()).toEqual({ woken: 1, left: false, nextDueAtMs: undefined });
    expect(events).toMatchObject([{ type: "drain_failed", error: { code: "backend_unavailable" } }]);
    expect(await c.drain()).toEqual({ woken: 0, left: false, nextDueAtMs: undefined });
    expect(events).toHaveLength(1);
  });

  it("comes to its end over a list that lags behind", async () => {
    const { c, clock, store, coordinator } = await withDue(ids(5));
    await clock.advance(2_000);
    const stale = await store.definition.due(100);
    const lagging = coordinator({ due: async (limit) => stale.slice(0, limit) });
    expect(await lagging.drain({ limit: 2 })).toMatchObject({ woken: 2, left: true });
    expect(await c.drain()).toMatchObject({ woken: 3, left: false });
    expect(await lagging.drain({ limit: 10 })).toMatchObject({ woken: 5, left: false });
  });

  it("row 45: leaves machines alone that a later version has, however many lines they have", async () => {
    const { c, clock, coordinator, store } = await withDue(ids(2));
    await clock.advance(2_000);
    const strange = Array.from({ length: 5_000 }, (_, i) => ({ name: `later:${i}`, atMs: 1 }));
    let calls = 0;
    const due = async (limit: number) => {
      calls++;
      return [...strange, ...(await store.definition.due(limit))].slice(0, limit);
    };
    const drainer = coordinator({ due });
    expect(await drainer.drain({ limit: 2 })).toMatchObject({ woken: 2 });
    expect(await stateOf(c, "g1é:")).toBe("timed_out");
    calls = 0;
    // They are known by now.
    expect(await drainer.drain({ limit: 2 })).toEqual({ woken: 0, left: false, nextDueAtMs: undefined });
    expect(calls).toBe(1);
  });

  it("ends with its signal's reason, and begins nothing more", async () => {
    const { c, clock, store } = await withDue(ids(30));
    await clock.advance(2_000);
    const { signal, abort, listeners } = countingSignal();
    const reason = new Error("gone");
    store.faults = { before: once(() => abort(reason)) };
    await expect(c.drain({ signal })).rejects.toBe(reason);
    await settle(8);
    expect(store.count("compareAndSet")).toBeLessThan(30 + 9);
    expect(listeners()).toBe(0);
    await expect(c.drain({ signal })).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it("that is aborted does not wait for a running waker", async () => {
    const { c, clock } = await withDue(["g"]);
    c.onWake("completion", { input: () => ({}), act: never });
    await clock.advance(2_000);
    const { signal, abort, listeners } = countingSignal();
    const outcome = c.drain({ signal }).catch((error: unknown) => error);
    await settle();
    const reason = new Error("gone");
    abort(reason);
    expect(await outcome).toBe(reason);
    expect(listeners()).toBe(0);
  });

  it("sweeps what has expired, when it has woken the rest", async () => {
    const { c, clock, store, coordinator } = await withDue(ids(1));
    await c.run("kv.incr", "old", { op: "o", ttlMs: 1_500, delta: 1 });
    await clock.advance(2_000);
    await c.drain();
    expect([...store.records.keys()]).toEqual(["completion:g0%C3%A9%3A"]);
    expect(store.calls.at(-1)).toBe("sweep");
    const events: CoordinatorEvent[] = [];
    const failing = coordinator({ sweep: lost, onEvent: (event) => events.push(event) });
    await clock.advance(601_000);
    expect(await failing.drain()).toMatchObject({ left: false });
    const error = { code: "backend_unavailable", message: "the backend's sweep failed" };
    expect(events).toMatchObject([{ type: "drain_failed", error }]);
    const { load, compareAndSet, due } = store.definition;
    expect(await defineBackend({ load, compareAndSet, due, clock }).drain()).toMatchObject({ left: false });
  });

  it("of a store that does not answer ends at an operation's time", async () => {
    for (const call of ["due", "now"]) {
      const { c, clock } = lab({}, { callTimeoutMs: 1_000, [call]: never });
      const outcome = await outcomeOf(clock, Promise.resolve(c.drain()));
      expect(outcome).toMatchObject({ code: "backend_unavailable", retryable: true });
      expect(clock.pending).toBe(0);
    }
    const events: CoordinatorEvent[] = [];
    const { c, clock } = lab({}, { callTimeoutMs: 1_000, sweep: never, onEvent: (event) => events.push(event) });
    expect(await outcomeOf(clock, Promise.resolve(c.drain()))).toMatchObject({ woken: 0, left: false });
    expect(events).toMatchObject([{ type: "drain_failed", error: { code: "backend_unavailable" } }]);
    expect(clock.pending).toBe(0);
  });

  it("whose sweep is aborted rejects with the signal's reason", async () => {
    const events: CoordinatorEvent[] = [];
    const leaving = new AbortController();
    const { c } = lab(
      {},
      {
        sweep: () => {
          leaving.abort("gone");
          return never();
        },
        onEvent: (event) => events.push(event),
      },
    );
    await expect(c.drain({ signal: leaving.signal })).rejects.toBe("gone");
    expect(events).toEqual([]);
  });

  it("refuses options out of range", async () => {
    const { c } = lab();
    for (const limit of [0, 1.5, 10_001]) {
      await expect(c.drain({ limit })).rejects.toMatchObject({ code: "invalid_input" });
    }
    for (const budgetMs of [0, 1.5, 600_001]) {
      await expect(c.drain({ budgetMs })).rejects.toMatchObject({ code: "invalid_input" });
    }
  });
});

/** What does not pass. */
function refuse(): never {
  throw new CoordinationError("backend_rejected", "no");
}
