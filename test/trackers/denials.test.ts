import { beforeEach, expect, it, vi } from "vitest";
import { type Denial, MemoryCoordinator, RateLimiter, type RateLimiterOptions } from "../../src/index.js";
import { refusing } from "../../src/testing/index.js";

/** The clock of the process, and of the backend. */
let nowMs = 0;
beforeEach(() => {
  nowMs = 1_000;
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  return () => vi.restoreAllMocks();
});

class Counting extends MemoryCoordinator {
  calls = 0;
  override run: MemoryCoordinator["run"] = (...call) => {
    this.calls++;
    return super.run(...call);
  };
}

function bench(options: Partial<RateLimiterOptions> = {}) {
  const clock = { now: () => 1_767_225_600_000 + nowMs, setTimer: () => () => {} };
  const coordinator = new Counting({ clock });
  const denials = new Map<string, Denial>();
  // As a Worker makes one for each request.
  const limiter = (more: Partial<RateLimiterOptions> = {}) =>
    new RateLimiter(coordinator, { limit: 10, windowSec: 10, burst: 5, denials, ...options, ...more });
  return { coordinator, denials, limiter };
}

it("answers a denied key without the backend until its cost may fit", async () => {
  const { coordinator, limiter } = bench();
  await limiter().limit("a", 5);
  const denied = { allowed: false, limit: 10, remaining: 0, resetMs: 5_000, retryAfterMs: 1_000 };
  expect(await limiter().limit("a")).toEqual(denied);
  nowMs += 400;
  expect(await limiter().limit("a")).toEqual({ ...denied, resetMs: 4_600, retryAfterMs: 600 });
  nowMs += 599;
  expect(await limiter().limit("a", 2)).toEqual({ ...denied, resetMs: 4_001, retryAfterMs: 1 });
  expect(coordinator.calls).toBe(2);
  nowMs += 1;
  expect(await limiter().limit("a")).toMatchObject({ allowed: true });
});

it("asks for other keys, other limits, a lower cost and a cost of 0", async () => {
  const { coordinator, limiter } = bench();
  await limiter().limit("a", 3);
  expect(await limiter().limit("a", 4)).toMatchObject({ allowed: false, remaining: 2 });
  expect(await limiter().limit("a", 0)).toMatchObject({ allowed: true, remaining: 2 });
  expect(await limiter().limit("a", 2)).toMatchObject({ allowed: true, remaining: 0 });
  expect(await limiter().limit("b", 4)).toMatchObject({ allowed: true });
  expect(await limiter({ namespace: "other" }).limit("a", 4)).toMatchObject({ allowed: true });
  expect(await limiter({ burst: 50 }).limit("a", 4)).toMatchObject({ allowed: true });
  expect(coordinator.calls).toBe(7);
});

it("asks again after a minute, though the denial may last for days", async () => {
  const { coordinator, limiter } = bench({ limit: 1, windowSec: "1d", burst: 1 });
  await limiter().limit("a");
  for (let seconds = 0; seconds < 180; seconds++) {
    expect(await limiter().limit("a")).toMatchObject({ allowed: false });
    nowMs += 1_000;
  }
  expect(coordinator.calls).toBe(4);
});

it("holds ten thousand keys, the latest", async () => {
  const { coordinator, denials, limiter } = bench({ limit: 1, windowSec: "1h", burst: 1 });
  const one = limiter();
  for (let i = 0; i < 10_050; i++) {
    await one.limit(`key ${i}`);
    await one.limit(`key ${i}`);
  }
  expect(denials.size).toBe(10_000);
  const before = coordinator.calls;
  await one.limit("key 10049");
  expect(coordinator.calls).toBe(before);
  await one.limit("key 0");
  expect(coordinator.calls).toBe(before + 1);
});

it("remembers nothing that the backend did not decide, and rejects a caller that has aborted", async () => {
  const denials = new Map<string, Denial>();
  const away = refusing(new MemoryCoordinator());
  await new RateLimiter(away, { limit: 1, windowSec: 1, denials, onError: "deny" }).limit("a");
  expect(denials.size).toBe(0);
  const { limiter } = bench({ limit: 1 });
  for (let i = 0; i < 2; i++) await limiter().limit("a");
  const reason = new Error("gone");
  await expect(limiter().limit("a", 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(() => limiter({ denials: {} as never })).toThrow("denials must be a Map");
});
