import { describe, expect, it } from "vitest";
import {
  CoalesceTracker,
  CompletionTracker,
  type Coordinator,
  DedupeWindow,
  MemoryCoordinator,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "../../src/index.js";

function trackersOf(c: Coordinator) {
  return {
    groups: new CompletionTracker(c),
    requests: new RequestWaitTracker(c, { stages: ["s"] }),
    claims: new DedupeWindow(c),
    versions: new CoalesceTracker(c),
    stats: new RequestStatsAccumulator(c, "n"),
  };
}

/** Every call of every tracker, with an id or a key, and with options. */
function callsOf(c: Coordinator): Record<string, (id: string, options: object) => Promise<unknown>> {
  const { groups, requests, claims, versions, stats } = trackersOf(c);
  const failure = { caller: "c", stage: "s", message: "m" } as const;
  return {
    register: (id, options) => groups.register(id, 1, options),
    ack: (id, options) => groups.ack(id, "a", options),
    ackAndStatus: (id, options) => groups.ackAndStatus(id, ["a"], options),
    fail: (id, options) => groups.fail(id, "a", "m", options),
    decrement: (id, options) => groups.decrement(id, 1, options),
    cancel: (id, options) => groups.cancel(id, "r", options),
    status: (id, options) => groups.status(id, options),
    wait: (id, options) => groups.wait(id, { timeoutMs: 0, ...options }),
    results: (id, options) => groups.results(id, options),
    redeliver: (id, options) => groups.redeliver(id, options),
    registerRequest: (id, options) => requests.registerRequest(id, options),
    abandon: (id, options) => requests.abandon(id, failure, options),
    registerRoot: (id, options) => requests.registerRoot(id, "s", "a", options),
    seal: (id, options) => requests.seal(id, options),
    sealAndStatus: (id, options) => requests.sealAndStatus(id, options),
    markDone: (id, options) => requests.markDone(id, "s", "a", options),
    markFailed: (id, options) => requests.markFailed(id, "s", "a", "m", options),
    recordProcessed: (id, options) => requests.recordProcessed(id, "s", 1, options),
    recordRequeue: (id, options) => requests.recordRequeue(id, "s", 1, options),
    recordError: (id, options) => requests.recordError(id, "s", "m", options),
    state: (id, options) => requests.state(id, options),
    queueStatus: (id, options) => requests.queueStatus(id, options),
    waitForRequest: (id, options) => requests.waitForRequest(id, { timeoutMs: 0, ...options }),
    progress: (id, options) => requests.progress(id, 0, { timeoutMs: 0, ...options }),
    cleanup: (id, options) => requests.cleanup(id, options),
    claim: (id, options) => claims.claim(id, options),
    release: (id, options) => claims.release(id, options),
    "run of a claim": (id, options) => claims.run(id, () => undefined, options),
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
