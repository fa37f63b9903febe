import { afterEach, describe, expect, it, vi } from "vitest";
import {
  CoordinationError,
  type CoordinatorEvent,
  DedupeWindow,
  MemoryCoordinator,
  Mutex,
  Semaphore,
} from "../../src/index.js";
import { settle } from "../../src/testing/index.js";

/** What happens to one call: it is left before it arrives, or its answer is lost. */
type Fault = (call: () => Promise<unknown>) => Promise<unknown>;

/** A coordinator of which one call meets a fault. */
class Faulty extends MemoryCoordinator {
  /** The calls so far, by their transitions. */
  readonly calls: string[] = [];
  faultOf: (transition: string) => Fault | undefined = () => undefined;

  override run: MemoryCoordinator["run"] = (transition, id, input, options) =>
    this.#meet(transition, () => super.run(transition, id, input, options));

  override watch: MemoryCoordinator["watch"] = (transition, id, input, options) =>
    this.#meet(transition, () => super.watch(transition, id, input, options));

  #meet<T>(transition: string, call: () => Promise<T>): Promise<T> {
    this.calls.push(transition);
    const fault = this.faultOf(transition);
    return fault === undefined ? call() : (fault(call) as Promise<T>);
  }
}

const lost = (): never => {
  throw new CoordinationError("backend_unavailable", "the answer was lost", { retryable: true, applied: "unknown" });
};
const ANSWER_LOST: Fault = (call) => call().then(lost);
const HANGS: Fault = () => new Promise(() => {});
const REASON = new Error("the caller left");

afterEach(() => vi.useRealTimers());

describe("a caller that aborts while it", () => {
  /** Aborts in the middle of the n-th call, before it arrives or after it was applied. */
  function aborting(on: Faulty, n: number, isApplied: boolean): AbortSignal {
    const caller = new AbortController();
    let call = 0;
    on.faultOf = (transition) => {
      // Others release.
      if (transition === "semaphore.release" || call++ !== n) return undefined;
      return async (run) => {
        if (isApplied) await run().catch(() => {});
        caller.abort(REASON);
        throw REASON;
      };
    };
    return caller.signal;
  }

  it.each([
    [0, false],
    [0, true],
    // A watch.
    [1, false],
    [2, false],
    [2, true],
  ])("waits for a permit holds none and has left the line: call %i, applied %s", async (n, isApplied) => {
    const on = new Faulty();
    const [mutex, other] = [new Mutex(on), new Mutex(on)];
    const held = await other.acquire("key");
    const signal = aborting(on, n, isApplied);
    const waiting = mutex.acquire("key", { waitMs: 10_000, signal });
    waiting.catch(() => {});
    await settle();
    // The third call is the one that takes the offer.
    if (n === 2) await other.release("key", held?.permitId ?? "");
    await expect(waiting).rejects.toBe(REASON);
    on.faultOf = () => undefined;
    await settle();
    expect(await other.status("key")).toMatchObject({ holders: { length: n === 2 ? 0 : 1 }, waiting: 0 });
  });

  it.each([0, 1].flatMap((n) => [false, true].map((isApplied) => [n, isApplied] as const)))(
    "runs work leaves the key free, or done: call %i, applied %s",
    async (n, isApplied) => {
      const on = new Faulty();
      const signal = aborting(on, n, isApplied);
      const outcome = await new DedupeWindow(on).run("key", () => 1, { signal }).catch((error: unknown) => error);
      // The second call keeps the result: work that was done is not reported as failed.
      expect(outcome).toEqual(n === 0 ? REASON : { outcome: "ran", value: 1, kept: false });
      on.faultOf = () => undefined;
      await settle();
      const next = await new DedupeWindow(on).run("key", () => 2);
      const wanted = n === 0 ? "ran" : isApplied ? "replayed" : "in_progress";
      expect(next.outcome).toBe(wanted);
    },
  );
});

describe("a backend whose answers are lost", () => {
  it("leaves no permit to an acquire that failed", async () => {
    const on = new Faulty();
    const mutex = new Mutex(on);
    on.faultOf = () => ANSWER_LOST;
    await expect(mutex.acquire("key")).rejects.toMatchObject({ code: "backend_unavailable", applied: "unknown" });
    on.faultOf = () => undefined;
    expect(await mutex.status("key")).toMatchObject({ holders: [], waiting: 0 });
    expect(on.calls).toEqual(["semaphore.acquire", "semaphore.release", "semaphore.status"]);
  });

  it("leaves the key free of a run that never began its work", async () => {
    const on = new Faulty();
    const window = new DedupeWindow(on);
    let works = 0;
    on.faultOf = () => ANSWER_LOST;
    const failed = window.run("key", () => ++works);
    await expect(failed).rejects.toMatchObject({ code: "backend_unavailable", applied: "unknown" });
    on.faultOf = () => undefined;
    expect(await window.run("key", () => ++works)).toEqual({ outcome: "ran", value: 1, kept: true });
  });

  it("reports a run that it could not free: the key is held for the lease", async () => {
    const on = new Faulty();
    const events: CoordinatorEvent[] = [];
    const window = new DedupeWindow(on, { onEvent: (event) => events.push(event) });
    on.faultOf = (transition) => (transition === "dedupe.begin" ? ANSWER_LOST : lost);
    await expect(window.run("key", () => 1)).rejects.toMatchObject({ applied: "unknown" });
    expect(events).toMatchObject([{ type: "followup_failed", transition: "dedupe.fail", id: "key" }]);
    on.faultOf = () => undefined;
    expect(await window.run("key", () => 1)).toMatchObject({ outcome: "in_progress" });
  });
});

it.each(["work that is done", "work that failed"])(
  "a release that hangs holds %s for ten seconds at most",
  async (what) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const on = new Faulty();
    on.faultOf = (transition) => (/release|fail/.test(transition) ? HANGS : undefined);
    const isDone = what === "work that is done";
    const work = () => (isDone ? "done" : Promise.reject(REASON));
    let [permit, run]: unknown[] = [];
    void new Mutex(on).withPermit("key", work).then(
      (value) => (permit = value),
      (error: unknown) => (permit = error),
    );
    void new DedupeWindow(on).run("key", work).then(
      (value) => (run = value),
      (error: unknown) => (run = error),
    );
    await vi.advanceTimersByTimeAsync(9_900);
    expect(permit).toBeUndefined();
    await vi.advanceTimersByTimeAsync(200);
    expect(permit).toBe(isDone ? "done" : REASON);
    expect(run).toEqual(isDone ? { outcome: "ran", value: "done", kept: true } : REASON);
  },
);

describe("a lease that is lost while its work runs", () => {
  const heard = () => {
    const events: CoordinatorEvent[] = [];
    return { events, onEvent: (event: CoordinatorEvent) => void events.push(event) };
  };

  it("is reported once by the run whose key was freed, at its end at the latest", async () => {
    const { events, onEvent } = heard();
    const window = new DedupeWindow(new MemoryCoordinator(), { onEvent });
    expect(await window.run(["a", "b"], () => window.forget(["a", "b"]))).toMatchObject({ outcome: "lost" });
    expect(await window.run("kept", () => 1)).toMatchObject({ outcome: "ran" });
    expect(events).toEqual([{ type: "lease_lost", machine: "dedupe", id: '["a","b"]', reason: "taken" }]);
  });

  it.each([
    ["taken", () => Promise.resolve({ held: false })],
    ["unconfirmed", HANGS],
  ] as const)("is reported once by withPermit and run, with the reason: %s", async (reason, renewal) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const { events, onEvent } = heard();
    const on = new Faulty();
    on.faultOf = (transition) => (/extend|renew/.test(transition) ? renewal : undefined);
    const untilLost = ({ signal }: { signal: AbortSignal }) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve("left")));
    const permit = new Mutex(on, { leaseSec: 30, onEvent }).withPermit("key", untilLost);
    const run = new DedupeWindow(on, { onEvent }).run("key", untilLost, { leaseSec: 30 });
    await vi.advanceTimersByTimeAsync(30_001);
    await Promise.all([permit, run]);
    const lost = (machine: string) => ({ type: "lease_lost", machine, id: "key", reason });
    expect(events).toHaveLength(2);
    expect(events).toEqual(expect.arrayContaining([lost("semaphore"), lost("dedupe")]));
  });
});

describe("a nested call of the same key", () => {
  it("finds its own run in progress, at once or when its time is over", async () => {
    const window = new DedupeWindow(new MemoryCoordinator());
    const outer = await window.run("key", async () => {
      const skipped = await window.run("key", () => "inner");
      const waited = await window.run("key", () => "inner", { onInFlight: "wait", waitMs: 20 });
      return [skipped.outcome, waited.outcome];
    });
    expect(outer).toMatchObject({ outcome: "ran", value: ["in_progress", "in_progress"] });
  });

  it("waits for a permit that its own caller holds, and fails when its time is over", async () => {
    const mutex = new Mutex(new MemoryCoordinator());
    const nested = mutex.withPermit("key", () => mutex.withPermit("key", () => 1, { waitMs: 20 }));
    await expect(nested).rejects.toMatchObject({ code: "wait_timeout", retryable: true });
    expect(await mutex.status("key")).toMatchObject({ holders: [], waiting: 0 });
  });
});

it("a run whose work fails is done by one of the calls that wait, and the others get its value", async () => {
  const window = new DedupeWindow(new MemoryCoordinator());
  let works = 0;
  const run = () =>
    window.run(
      "key",
      async () => {
        const n = ++works;
        await settle(3);
        if (n < 3) throw REASON;
        return n;
      },
      { onInFlight: "wait" },
    );
  const calls = await Promise.allSettled(Array.from({ length: 6 }, run));
  expect(works).toBe(3);
  expect(calls.filter(({ status }) => status === "rejected")).toEqual(
    Array(2).fill({ status: "rejected", reason: REASON }),
  );
  const values = calls.flatMap((call) => (call.status === "fulfilled" ? [call.value] : []));
  expect(values.map((value) => "value" in value && value.value)).toEqual([3, 3, 3, 3]);
});

it("a deploy that lowers or raises the permits ends no permit and loses no caller", async () => {
  const on = new MemoryCoordinator();
  const of = (permits: number) => new Semaphore(on, { permits });
  const old = await Promise.all([1, 2, 3].map(() => of(3).acquire("key")));
  let granted = 0;
  const waiting = [1, 1, 3, 3].map(async (permits) => {
    const permit = await of(permits).acquire("key", { waitMs: 10_000 });
    granted++;
    return permit;
  });
  await settle();
  for (const permit of old.slice(0, 2)) await of(3).release("key", permit?.permitId ?? "");
  await settle();
  // The first in line knows one permit, and one is held.
  expect(granted).toBe(0);
  await of(3).release("key", old[2]?.permitId ?? "");
  expect(await of(3).extend("key", (await waiting[0])?.permitId ?? "")).toBe(true);
  expect(granted).toBe(1);
  await of(1).release("key", (await waiting[0])?.permitId ?? "");
  await of(1).release("key", (await waiting[1])?.permitId ?? "");
  expect(await Promise.all(waiting.slice(2))).toMatchObject([{ permitId: expect.any(String) }, {}]);
});
