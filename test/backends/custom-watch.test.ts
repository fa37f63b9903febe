import { describe, expect, it, vi } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import { CompletionTracker } from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { overshootMs } from "../support/overshoot.js";
import { acks, countingSignal, lab, lost, never, once, outcomeOf, registration } from "./custom-lab.js";
import { VersionedStore } from "./custom-store.js";

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
