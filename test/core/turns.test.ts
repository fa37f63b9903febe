import { describe, expect, it } from "vitest";
import { bench } from "./bench.js";

describe("the limiter machine", () => {
  const config = { limit: 10, windowMs: 1_000, burst: 5 };

  it("admits the burst at once, then one call each tenth of the window", () => {
    const { run, pass } = bench();
    for (let i = 4; i >= 0; i--) {
      const output = { allowed: true, remaining: i, resetMs: (5 - i) * 100, retryAfterMs: 0 };
      expect(run("limiter.take", { ...config, cost: 1 })).toEqual(output);
    }
    const denied = { allowed: false, remaining: 0, resetMs: 500, retryAfterMs: 100 };
    expect(run("limiter.take", { ...config, cost: 1 })).toEqual(denied);
    expect(run("limiter.take", { ...config, cost: 3 })).toEqual({ ...denied, retryAfterMs: 300 });
    pass(100);
    expect(run("limiter.take", { ...config, cost: 1 })).toMatchObject({ allowed: true, remaining: 0 });
  });

  it("writes nothing for a denial and for a cost of 0, and its record ends a refill after the debt", () => {
    const { run, now, record } = bench();
    run("limiter.take", { ...config, cost: 0 });
    expect(record("limiter")).toBeUndefined();
    run("limiter.take", { ...config, cost: 5 });
    const written = record("limiter");
    expect(written).toMatchObject({ untilMs: now() + 1_001, members: {}, wakeAtMs: null });
    run("limiter.take", { ...config, cost: 1 });
    expect(record("limiter")).toEqual(written);
  });

  it("moves the expiry of its record seldom, and keeps it for an hour beyond the debt at most", () => {
    const { run, now, pass, record } = bench();
    const moves = new Set<unknown>();
    for (let i = 0; i < 100; i++) {
      run("limiter.take", { ...config, cost: 1 });
      moves.add(record("limiter")?.untilMs);
      pass(100);
    }
    // Ten calls a second, and a burst of half a second.
    expect(moves.size).toBeLessThanOrEqual(25);
    pass(3_600_000);
    run("limiter.take", { limit: 1, windowMs: 86_400_000, burst: 10, cost: 1 });
    expect(record("limiter")?.untilMs).toBe(now() + 86_400_000 + 1 + 3_600_000);
  });

  it("admits no more than either limit after the limit changes", () => {
    const { run, pass } = bench();
    run("limiter.take", { limit: 3, windowMs: 1_000, burst: 5, cost: 5 });
    // 5 of 3 a second: the debt is 1,666 2/3 ms, rounded up to 1,667 ms of the new limit's.
    expect(run("limiter.take", { limit: 1, windowMs: 1_000, burst: 5, cost: 0 })).toMatchObject({ resetMs: 1_667 });
    pass(1_667);
    expect(run("limiter.take", { limit: 1, windowMs: 1_000, burst: 5, cost: 0 })).toMatchObject({ remaining: 5 });
  });

  it("owes one burst at most when the burst is lowered, or the clock goes back", () => {
    const { run, pass } = bench();
    run("limiter.take", { limit: 1, windowMs: 1_000, burst: 100, cost: 100 });
    expect(run("limiter.take", { limit: 1, windowMs: 1_000, burst: 2, cost: 1 })).toMatchObject({
      retryAfterMs: 1_000,
    });
    pass(-3_600_000);
    expect(run("limiter.take", { limit: 1, windowMs: 1_000, burst: 100, cost: 1 })).toMatchObject({ resetMs: 100_000 });
  });
});

describe("the semaphore machine", () => {
  const LEASE_MS = 30_000;
  const acquire = (op: string, permits = 1, queue = true) => ({ op, permits, leaseMs: LEASE_MS, queue });

  it("grants in the order of the line, though a later caller asks first", () => {
    const { run } = bench();
    run("semaphore.acquire", acquire("a"));
    for (const op of ["b", "c", "d"]) {
      expect(run("semaphore.acquire", acquire(op))).toEqual({ outcome: "queued" });
    }
    for (const [holder, next, later] of ["abc", "bcd"].map((text) => text.split("")) as [string, string, string][]) {
      run("semaphore.release", { op: holder });
      expect(run("semaphore.turn", { op: later }).ready).toBe(false);
      expect(run("semaphore.acquire", acquire(later))).toEqual({ outcome: "queued" });
      expect(run("semaphore.acquire", acquire("new", 1, false)).outcome).toBe("busy");
      expect(run("semaphore.turn", { op: next }).ready).toBe(true);
      expect(run("semaphore.acquire", acquire(next)).outcome).toBe("granted");
    }
  });

  it("keeps an offered permit for ten seconds, then offers it to the next", () => {
    const { run, pass, now, record } = bench();
    for (const op of ["a", "b", "c"]) run("semaphore.acquire", acquire(op));
    run("semaphore.release", { op: "a" });
    expect(record("semaphore")?.wakeAtMs).toBe(now() + 10_000);
    pass(9_999);
    expect(run("semaphore.turn", { op: "c" })).toMatchObject({ ready: false, recheckInMs: 1 });
    pass(1);
    expect(run("semaphore.woken", {})).toEqual({ changed: true });
    expect(run("semaphore.turn", { op: "c" }).ready).toBe(true);
    expect(run("semaphore.acquire", acquire("b"))).toEqual({ outcome: "queued" });
  });

  it("ends a lease, and refuses late calls of its holder", () => {
    const { run, pass } = bench();
    run("semaphore.acquire", acquire("a"));
    pass(LEASE_MS - 1);
    expect(run("semaphore.acquire", acquire("b", 1, false))).toEqual({ outcome: "busy", retryAfterMs: 1 });
    expect(run("semaphore.extend", { op: "a", leaseMs: LEASE_MS })).toEqual({ held: true });
    pass(LEASE_MS);
    expect(run("semaphore.extend", { op: "a", leaseMs: LEASE_MS })).toEqual({ held: false });
    expect(run("semaphore.acquire", acquire("a"))).toEqual({ outcome: "over" });
    expect(run("semaphore.acquire", acquire("b")).outcome).toBe("granted");
    expect(run("semaphore.release", { op: "a" })).toEqual({ released: false });
  });

  it("takes nothing for an acquire that arrives after its release", () => {
    const { run } = bench();
    expect(run("semaphore.release", { op: "a" })).toEqual({ released: false });
    expect(run("semaphore.acquire", acquire("a"))).toEqual({ outcome: "over" });
    expect(run("semaphore.acquire", acquire("b"))).toMatchObject({ outcome: "granted", leftMs: LEASE_MS });
  });

  it("remembers a release for a minute, though the lease was over long before", () => {
    const { run, pass } = bench();
    run("semaphore.acquire", acquire("a"));
    pass(LEASE_MS);
    expect(run("semaphore.acquire", acquire("a"))).toEqual({ outcome: "over" });
    pass(59_999);
    expect(run("semaphore.release", { op: "a" })).toEqual({ released: false });
    pass(59_999);
    expect(run("semaphore.acquire", acquire("a"))).toEqual({ outcome: "over" });
    pass(1);
    expect(run("semaphore.acquire", acquire("a")).outcome).toBe("granted");
  });

  it("skips a caller that has not looked for 35 seconds; looks within a quarter of that write nothing", () => {
    const { run, pass, record } = bench();
    for (const op of ["a", "b", "c"]) run("semaphore.acquire", { ...acquire(op), leaseMs: 60_000 });
    pass(8_749);
    const before = record("semaphore");
    run("semaphore.turn", { op: "c" });
    expect(record("semaphore")).toEqual(before);
    pass(1);
    run("semaphore.turn", { op: "c" });
    pass(26_250);
    run("semaphore.release", { op: "a" });
    expect(run("semaphore.turn", { op: "c" }).ready).toBe(true);
  });

  it("obeys the number of permits that each caller brings", () => {
    const { run } = bench();
    expect(run("semaphore.acquire", acquire("a", 2)).outcome).toBe("granted");
    expect(run("semaphore.acquire", acquire("b", 2)).outcome).toBe("granted");
    expect(run("semaphore.acquire", acquire("c", 1)).outcome).toBe("queued");
    // An instance with the higher number does not overtake the first in line.
    expect(run("semaphore.acquire", acquire("d", 3)).outcome).toBe("queued");
    run("semaphore.release", { op: "a" });
    expect(run("semaphore.turn", { op: "c" }).ready).toBe(false);
    run("semaphore.release", { op: "b" });
    expect(run("semaphore.acquire", acquire("c", 1)).outcome).toBe("granted");
    expect(run("semaphore.acquire", acquire("d", 3)).outcome).toBe("granted");
  });

  it("issues growing tokens above a thousand a second, and a record that outlives them", () => {
    const { run, now, record } = bench();
    let last = 0;
    for (let i = 0; i < 50; i++) {
      const { token = 0 } = run("semaphore.acquire", acquire(`op${i}`));
      expect(token).toBe(last === 0 ? now() : last + 1);
      last = token;
      run("semaphore.release", { op: `op${i}` });
    }
    expect(record("semaphore")?.untilMs).toBeGreaterThanOrEqual(now() + 86_400_000);
  });

  it("lists the holders and the first hundred in line, by the ends of their leases and their last looks", () => {
    const { run, pass, record } = bench();
    expect(run("semaphore.status", {})).toEqual({ token: 0, holders: "(empty)", waiters: "(empty)", waiting: 0 });
    expect(record("semaphore")).toBeUndefined();
    const { token } = run("semaphore.acquire", acquire("a"));
    for (let i = 0; i < 150; i++) run("semaphore.acquire", acquire(`op${i}`));
    pass(1_000);
    const before = record("semaphore");
    const { holders, waiters, waiting } = run("semaphore.status", {});
    expect(holders).toEqual([{ op: "a", token, leftMs: LEASE_MS - 1_000 }]);
    expect([waiting, waiters.length, waiters[0]]).toEqual([150, 100, { op: "op0", offered: false, silentMs: 1_000 }]);
    expect(record("semaphore")).toEqual(before);
    pass(LEASE_MS - 1_000);
    expect(run("semaphore.status", {})).toMatchObject({
      holders: "(empty)",
      waiting: 150,
      waiters: { 0: { offered: true } },
    });
  });

  it("gives a place back without an end of its operation, and no permit", () => {
    const { run } = bench();
    for (const op of ["a", "b", "c"]) run("semaphore.acquire", acquire(op));
    expect(run("semaphore.leave", { op: "a" })).toEqual({ left: false });
    run("semaphore.release", { op: "a" });
    expect(run("semaphore.leave", { op: "b" })).toEqual({ left: true });
    expect(run("semaphore.acquire", acquire("b"))).toEqual({ outcome: "queued" });
    expect(run("semaphore.acquire", acquire("c")).outcome).toBe("granted");
    expect(run("semaphore.turn", { op: "b" }).ready).toBe(false);
  });

  it("remembers 64 operations, and refuses the caller beyond a thousand in line", () => {
    const { run, record } = bench();
    for (let i = 0; i < 100; i++) run("semaphore.release", { op: `old${i}` });
    expect(record("semaphore")?.head).toMatchObject({ fields: { over: { length: 64 } } });
    run("semaphore.acquire", acquire("holder"));
    for (let i = 0; i < 1_000; i++) run("semaphore.acquire", acquire(`op${i}`));
    expect(run("semaphore.acquire", acquire("more"))).toEqual({ outcome: "full", retryAfterMs: LEASE_MS });
  });
});

describe("the runs of the dedupe machine", () => {
  const lease = (op: string, leaseMs = 30_000) => ({ op, leaseMs, windowMs: 86_400_000 });
  const finish = (op: string, value?: string) => ({
    op,
    windowMs: 86_400_000,
    ...(value === undefined ? {} : { value }),
  });

  it("replays the value of the run that is done, until its window ends", () => {
    const { run, pass } = bench();
    expect(run("dedupe.begin", lease("a")).outcome).toBe("begun");
    expect(run("dedupe.begin", lease("b"))).toEqual({ outcome: "busy", retryAfterMs: 30_000 });
    expect(run("dedupe.wait", {})).toMatchObject({ ready: false, recheckInMs: 30_000 });
    expect(run("dedupe.finish", finish("a", '"value"'))).toEqual({ held: true });
    expect(run("dedupe.wait", {}).ready).toBe(true);
    expect(run("dedupe.begin", lease("b"))).toEqual({ outcome: "done", value: '"value"' });
    pass(86_400_000);
    expect(run("dedupe.begin", lease("c")).outcome).toBe("begun");
    run("dedupe.finish", finish("c"));
    expect(run("dedupe.begin", lease("d"))).toEqual({ outcome: "done" });
  });

  it("counts a late finish, unless another call has begun", () => {
    const { run, pass } = bench();
    const { token: first = 0 } = run("dedupe.begin", lease("a"));
    pass(60_000);
    expect(run("dedupe.renew", lease("a"))).toEqual({ held: true });
    pass(60_000);
    const { token: second = 0 } = run("dedupe.begin", lease("b"));
    expect(second).toBeGreaterThan(first);
    expect(run("dedupe.renew", lease("a"))).toEqual({ held: false });
    expect(run("dedupe.finish", finish("a", "1"))).toEqual({ held: false });
    expect(run("dedupe.begin", lease("a"))).toEqual({ outcome: "over" });
    expect(run("dedupe.finish", finish("b", "2"))).toEqual({ held: true });
    expect(run("dedupe.finish", finish("b", "2"))).toEqual({ held: true });
  });

  it("tells a call with another fingerprint, while the first runs and once it is done", () => {
    const { run } = bench();
    run("dedupe.begin", { ...lease("a"), fingerprint: "x" });
    expect(run("dedupe.begin", { ...lease("b"), fingerprint: "y" })).toEqual({ outcome: "mismatch" });
    run("dedupe.finish", finish("a", "1"));
    expect(run("dedupe.begin", lease("b"))).toEqual({ outcome: "mismatch" });
    expect(run("dedupe.begin", { ...lease("b"), fingerprint: "x" })).toEqual({ outcome: "done", value: "1" });
  });

  it("frees the key of a run that fails, and of one that is forgotten, for later calls only", () => {
    const { run } = bench();
    run("dedupe.begin", lease("a"));
    expect(run("dedupe.fail", { op: "a" })).toEqual({ held: true });
    expect(run("dedupe.begin", lease("a"))).toEqual({ outcome: "over" });
    run("dedupe.begin", lease("b"));
    expect(run("dedupe.forget", { op: "f" })).toEqual({ found: true });
    expect(run("dedupe.finish", finish("b", "1"))).toEqual({ held: false });
    run("dedupe.begin", lease("c"));
    run("dedupe.finish", finish("c", "2"));
    expect(run("dedupe.forget", { op: "f" })).toEqual({ found: true });
    expect(run("dedupe.begin", lease("d"))).toEqual({ outcome: "done", value: "2" });
    expect(run("dedupe.forget", { op: "g" })).toEqual({ found: true });
    expect(run("dedupe.forget", { op: "h" })).toEqual({ found: false });
    expect(run("dedupe.begin", lease("d")).outcome).toBe("begun");
  });

  it("keeps runs and claims of one key apart", () => {
    const { run, pass } = bench();
    run("dedupe.begin", lease("a"));
    expect(run("dedupe.claim", { op: "c", ttlMs: 1_000 })).toEqual({ claimed: false });
    expect(run("dedupe.release", { op: "r" })).toEqual({ released: false });
    pass(30_000);
    expect(run("dedupe.claim", { op: "c", ttlMs: 1_000 })).toEqual({ claimed: true });
    expect(run("dedupe.finish", finish("a"))).toEqual({ held: false });
    expect(run("dedupe.begin", lease("b"))).toEqual({ outcome: "busy", retryAfterMs: 1_000 });
    pass(1_000);
    expect(run("dedupe.begin", lease("b")).outcome).toBe("begun");
  });
});
