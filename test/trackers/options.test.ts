import { describe, expect, it } from "vitest";
import {
  CoalesceTracker,
  CompletionTracker,
  type Coordinator,
  DedupeWindow,
  MemoryCoordinator,
  Mutex,
  RateLimiter,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "../../src/index.js";

function trackersOf(c: Coordinator) {
  return {
    groups: new CompletionTracker(c),
    requests: new RequestWaitTracker(c, { stages: ["s"] }),
    claims: new DedupeWindow(c),
    permits: new Mutex(c),
    limiter: new RateLimiter(c, { limit: 1, windowSec: 1 }),
    versions: new CoalesceTracker(c),
    stats: new RequestStatsAccumulator(c, "n"),
  };
}

/** Every call of every tracker, with an id or a key, and with options. */
function callsOf(c: Coordinator): Record<string, (id: string, options: object) => Promise<unknown>> {
  const { groups, requests, claims, versions, stats, permits, limiter } = trackersOf(c);
  const failure = { caller: "c", message: "m" };
  return {
    register: (id, options) => groups.register(id, 1, options),
    add: (id, options) => groups.add(id, "a", options),
    seal: (id, options) => groups.seal(id, options),
    ack: (id, options) => groups.ack(id, "a", options),
    ackAndStatus: (id, options) => groups.ackAndStatus(id, ["a"], options),
    fail: (id, options) => groups.fail(id, "a", "m", options),
    decrement: (id, options) => groups.decrement(id, 1, options),
    retry: (id, options) => groups.retry(id, "a", options),
    extend: (id, options) => groups.extend(id, { timeoutSec: 1, ...options }),
    heartbeat: (id, options) => groups.heartbeat(id, options),
    cancel: (id, options) => groups.cancel(id, "r", options),
    remove: (id, options) => groups.remove(id, options),
    status: (id, options) => groups.status(id, options),
    wait: (id, options) => groups.wait(id, { timeoutMs: 0, ...options }),
    tasks: (id, options) => groups.tasks(id, options),
    results: (id, options) => groups.results(id, options),
    allResults: (id, options) => groups.allResults(id, options).next(),
    progress: (id, options) => groups.progress(id, options).next(),
    newer: (id, options) => groups.newer(id, "", { timeoutMs: 0, ...options }),
    redeliver: (id, options) => groups.redeliver(id, options),
    "register of a request": (id, options) => requests.register(id, options),
    "abandon of a request": (id, options) => requests.abandon(id, failure, options),
    "add of a request": (id, options) => requests.add(id, "s", "a", options),
    "seal of a request": (id, options) => requests.seal(id, options),
    "ack of a request": (id, options) => requests.ack(id, "s", "a", options),
    "fail of a request": (id, options) => requests.fail(id, "s", "a", "m", options),
    "count of a request": (id, options) => requests.count(id, "s", { processed: 1 }, options),
    "cancel of a request": (id, options) => requests.cancel(id, "r", options),
    "status of a request": (id, options) => requests.status(id, options),
    "wait of a request": (id, options) => requests.wait(id, { timeoutMs: 0, ...options }),
    "progress of a request": (id, options) => requests.progress(id, options).next(),
    "newer of a request": (id, options) => requests.newer(id, "", { timeoutMs: 0, ...options }),
    "tasks of a request": (id, options) => requests.tasks(id, options),
    "remove of a request": (id, options) => requests.remove(id, options),
    claim: (id, options) => claims.claim(id, options),
    release: (id, options) => claims.release(id, options),
    "run of a key": (id, options) => claims.run(id, () => undefined, options),
    forget: (id, options) => claims.forget(id, options),
    acquire: (id, options) => permits.acquire(id, options),
    "extend of a permit": (id, options) => permits.extend(id, "permit", options),
    "release of a permit": (id, options) => permits.release(id, "permit", options),
    withPermit: (id, options) => permits.withPermit(id, () => undefined, options),
    limit: (id, options) => limiter.limit(id, 1, options),
    next: (id, options) => versions.next(id, options),
    isStale: (id, options) => versions.isStale(id, 1, options),
    supersede: (id, options) => versions.supersede(id, () => undefined, options),
    merge: (id, options) => stats.merge(id, { processed: 1 }, options),
    consume: (id, options) => stats.consume(id, options),
  };
}

const CALLS = Object.keys(callsOf(new MemoryCoordinator()));

describe.each(CALLS)("the call %s", (name) => {
  const call = (id: string, options: object) => callsOf(new MemoryCoordinator())[name]?.(id, options);

  it("refuses an option that it does not know, and names it with the nearest one", async () => {
    await expect(call("id", { signall: undefined })).rejects.toMatchObject({
      code: "invalid_input",
      message: "options has an unknown field: signall; did you mean signal?",
    });
  });

  it("rejects with the reason of its signal", async () => {
    const reason = new Error("gone");
    await expect(call("id", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("refuses an empty id or key", async () => {
    await expect(call("", {})).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(/must not be empty/),
    });
  });
});

it("raw keys that are empty are refused as ids are", async () => {
  const c = new MemoryCoordinator();
  const calls = [
    c.incr(""),
    c.getInt(""),
    c.setIfAbsent("", 1),
    c.sadd("", "a"),
    c.srem("", "a"),
    c.scard(""),
    c.rpush("", "a"),
    c.lrange(""),
    c.expire("", 1),
    c.delete(""),
  ];
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({
      reason: { code: "invalid_input", message: expect.stringMatching(/must not be empty/) },
    });
  }
});

describe("a tracker", () => {
  const c = new MemoryCoordinator();
  const makes: Record<string, () => unknown> = {
    CompletionTracker: () => new CompletionTracker(c, { ttlSecs: 1 } as object),
    RequestWaitTracker: () => new RequestWaitTracker(c, { stages: ["s"], ttlSecs: 1 } as never),
    RateLimiter: () => new RateLimiter(c, { limit: 1, windowSecs: 1 } as never),
    DedupeWindow: () => new DedupeWindow(c, { windowSecs: 1 } as object),
    CoalesceTracker: () => new CoalesceTracker(c, { ttlSecs: 1 } as object),
    RequestStatsAccumulator: () => new RequestStatsAccumulator(c, "n", { ttlSecs: 1 } as object),
  };
  it.each(Object.keys(makes))("%s refuses an option that it does not know", (name) => {
    expect(makes[name]).toThrow(/^options has an unknown field: (ttl|window)Secs; did you mean (ttl|window)Sec\?$/);
  });

  it("refuses counts that it does not know, and tells no name that may be a secret", async () => {
    const stats = new RequestStatsAccumulator(c, "n");
    await expect(stats.merge("id", { errors: 1 } as object)).rejects.toThrow(/^counts has an unknown field: errors/);
    expect(() => new DedupeWindow(c, { "token: abc": 1 } as object)).toThrow(/^options has an unknown field$/);
  });
});
