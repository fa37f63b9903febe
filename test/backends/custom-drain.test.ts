import { describe, expect, it } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import {
  CompletionTracker,
  CoordinationError,
  type Coordinator,
  type CoordinatorEvent,
  RequestWaitTracker,
} from "../../src/index.js";
import { settle } from "../../src/testing/index.js";
import { acks, countingSignal, failuresTo, lab, lost, never, once, outcomeOf, registration } from "./custom-lab.js";

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
