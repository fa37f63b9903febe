import { describe, expect, it } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import type { BackendDefinition } from "../../src/backends/custom/definition.js";
import { CoordinationError, type CoordinatorEvent } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { acks, countingSignal, failuresTo, lab, lost, never, once, outcomeOf, registration } from "./custom-lab.js";
import { incrOnce } from "./once.js";

describe("a reply to a write that is lost", () => {
  it("is found in the record, when the write landed: nothing is sent again", async () => {
    const { c, clock, store } = lab({ after: once(lost) });
    expect(await outcomeOf(clock, c.incr("key", 3))).toBe(3);
    store.faults = { after: once(lost) };
    expect(await outcomeOf(clock, c.incr("key", 4))).toBe(7);
    expect(await c.getInt("key")).toBe(7);
    expect(store.count("compareAndSet")).toBe(2);
  });

  it("is repaired by another write, when it never reached the same version", async () => {
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
