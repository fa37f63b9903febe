import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker, CoordinationError, type Coordinator } from "../../src/index.js";
import { overshootMs } from "../support/overshoot.js";
import { startWorker, type WorkerProcess } from "../support/worker-process.js";
import { FAULTS, type Fault, type FaultProxy, startFaultProxy } from "./http-fault-proxy.js";
import { type Op, SMALL_OPS } from "./http-operations.js";

const TOKEN = "the-token-of-fault-tests";

let worker: WorkerProcess;
let proxy: FaultProxy;
let made = 0;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  proxy = await startFaultProxy(worker.url);
});
afterAll(async () => {
  await proxy.close();
  await worker.close();
});
beforeEach(() => {
  proxy.plan();
  proxy.always("none");
});

const client = (requestTimeoutMs = 30_000) =>
  new HttpCoordinator({ url: proxy.url, token: TOKEN, requestTimeoutMs, random: () => 0 });

const of = (c: Coordinator) => new CompletionTracker(c);
const register = (c: Coordinator, id: string) => of(c).register(id, ["a", "b"]);
const groupState = async (c: Coordinator, id: string) => {
  const status = await of(c).status(id);
  return status === null ? null : [status.state, status.succeeded, status.failed];
};
const readsNothing = async () => undefined;

const OPS: readonly Op[] = [
  { name: "incr", act: (c, id) => c.incr(id, 3), returns: 3, state: (c, id) => c.getInt(id), before: 0, after: 3 },
  {
    name: "setIfAbsent",
    act: (c, id) => c.setIfAbsent(id, 60),
    returns: true,
    state: (c, id) => c.expire(id, 60),
    before: false,
    after: true,
  },
  {
    name: "sadd",
    act: (c, id) => c.sadd(id, "a", "b"),
    returns: 2,
    state: (c, id) => c.scard(id),
    before: 0,
    after: 2,
  },
  {
    name: "srem",
    prepare: (c, id) => c.sadd(id, "a", "b"),
    act: (c, id) => c.srem(id, "a"),
    returns: 1,
    state: (c, id) => c.scard(id),
    before: 2,
    after: 1,
  },
  {
    name: "rpush",
    act: (c, id) => c.rpush(id, "a"),
    returns: 1,
    state: (c, id) => c.lrange(id),
    before: [],
    after: ["a"],
  },
  {
    name: "delete",
    prepare: (c, id) => c.incr(id),
    act: (c, id) => c.delete(id),
    returns: 1,
    state: (c, id) => c.getInt(id),
    before: 1,
    after: 0,
  },
  {
    name: "expire",
    prepare: (c, id) => c.incr(id),
    act: (c, id) => c.expire(id, 60),
    returns: true,
    state: (c, id) => c.getInt(id),
    before: 1,
    after: 1,
  },
  {
    name: "getInt",
    prepare: (c, id) => c.incr(id),
    act: (c, id) => c.getInt(id),
    returns: 1,
    state: readsNothing,
    before: undefined,
    after: undefined,
  },
  { name: "scard", act: (c, id) => c.scard(id), returns: 0, state: readsNothing, before: undefined, after: undefined },
  {
    name: "lrange",
    act: (c, id) => c.lrange(id),
    returns: [],
    state: readsNothing,
    before: undefined,
    after: undefined,
  },
  {
    name: "register",
    act: (c, id) => register(c, id),
    returns: { state: "open", total: 2 },
    state: groupState,
    before: null,
    after: ["open", 0, 0],
  },
  {
    name: "restart",
    prepare: async (c, id) => {
      await register(c, id);
      await of(c).ack(id, "a");
    },
    act: (c, id) => of(c).register(id, ["a", "b"], { restart: true }),
    returns: { state: "open", succeeded: 0 },
    state: groupState,
    before: ["open", 1, 0],
    after: ["open", 0, 0],
  },
  {
    name: "ack",
    prepare: register,
    act: (c, id) => of(c).ack(id, "a"),
    returns: { verdict: "accepted" },
    state: groupState,
    before: ["open", 0, 0],
    after: ["open", 1, 0],
  },
  {
    name: "the last ack",
    prepare: register,
    act: (c, id) => of(c).ack(id, ["a", "b"]),
    returns: [{ verdict: "accepted" }, { verdict: "accepted", ended: true }],
    state: groupState,
    before: ["open", 0, 0],
    after: ["completed", 2, 0],
  },
  {
    name: "fail",
    prepare: register,
    act: (c, id) => of(c).fail(id, "a", "bad"),
    returns: { verdict: "accepted" },
    state: groupState,
    before: ["open", 0, 0],
    after: ["open", 0, 1],
  },
  {
    name: "decrement",
    prepare: (c, id) => of(c).register(id, 5),
    act: (c, id) => of(c).decrement(id, 2),
    returns: 3,
    state: groupState,
    before: ["open", 0, 0],
    after: ["open", 2, 0],
  },
  {
    name: "cancel",
    prepare: register,
    act: (c, id) => of(c).cancel(id, "enough"),
    returns: { state: "cancelled" },
    state: groupState,
    before: ["open", 0, 0],
    after: ["cancelled", 0, 0],
  },
  {
    name: "status",
    prepare: register,
    act: (c, id) => of(c).status(id),
    returns: { state: "open" },
    state: groupState,
    before: ["open", 0, 0],
    after: ["open", 0, 0],
  },
  {
    name: "results",
    prepare: register,
    act: (c, id) => of(c).results(id),
    returns: { items: [], next: null },
    state: groupState,
    before: ["open", 0, 0],
    after: ["open", 0, 0],
  },
  {
    name: "redeliver",
    prepare: register,
    act: (c, id) => of(c).redeliver(id),
    returns: { state: "open" },
    state: groupState,
    before: ["open", 0, 0],
    after: ["open", 0, 0],
  },
  {
    name: "wait",
    prepare: async (c, id) => {
      await register(c, id);
      await of(c).cancel(id, "");
    },
    act: (c, id) => of(c).wait(id, { timeoutMs: 8_000 }),
    returns: { state: "cancelled" },
    state: groupState,
    before: ["cancelled", 0, 0],
    after: ["cancelled", 0, 0],
  },
  ...SMALL_OPS,
];

/** Written once and never again, whatever happens: only their caller knows whether to send them twice. */
const SENT_ONCE = new Set(["incr", "sadd", "srem", "rpush", "delete", "cleanup"]);

async function outcomeOf(work: Promise<unknown>): Promise<{ value: unknown } | { error: unknown }> {
  try {
    return { value: await work };
  } catch (error) {
    return { error };
  }
}

describe.each(FAULTS)("a request that is %s", (fault: Fault) => {
  it.each(OPS)("applies $name once", async ({ name, prepare, act, returns, state, before, after }) => {
    made += 1;
    const id = `faults-${made}`;
    const direct = new HttpCoordinator({ url: worker.url, token: TOKEN });
    await prepare?.(direct, id);
    proxy.plan(fault);
    const outcome = await outcomeOf(act(client(), id));
    const left = await state(direct, id);

    if ("value" in outcome) {
      if (typeof returns === "object") expect(outcome.value).toMatchObject(returns as object);
      else expect(outcome.value).toBe(returns);
      expect(left).toEqual(after);
      return;
    }
    const error = outcome.error as CoordinationError;
    expect(error).toBeInstanceOf(CoordinationError);
    // Only what may not be sent twice may fail after one fault.
    expect(SENT_ONCE.has(name)).toBe(true);
    const wasApplied = fault.endsWith("after");
    expect(left).toEqual(wasApplied ? after : before);
    if (wasApplied) expect(error.applied).toBe("unknown");
  });
});

describe("a wait", () => {
  it("goes on from hop to hop, over lost connections, until the group ends", async () => {
    const c = client();
    await of(c).register("hops", ["a"]);
    proxy.plan("dropped before", "html before", "429 before", "500 after");
    const waiting = of(c).wait("hops", { timeoutMs: 20_000 });
    setTimeout(() => void of(new HttpCoordinator({ url: worker.url, token: TOKEN })).ack("hops", "a"), 1_500);
    expect((await waiting).state).toBe("completed");
  }, 20_000);

  it.each([0.2, 1])("ends %s s after its beginning, when nobody answers", async (sec) => {
    proxy.always("black hole");
    const lateMs = await overshootMs(sec * 1000, async () => {
      const outcome = await outcomeOf(of(client()).wait("nobody", { timeoutMs: sec * 1000 }));
      expect(outcome).toMatchObject({ error: { code: "wait_timeout" } });
    });
    expect(lateMs).toBeGreaterThanOrEqual(-5);
    expect(lateMs).toBeLessThanOrEqual(100);
  });

  it("ends in time when every connection is dropped", async () => {
    proxy.always("dropped before");
    const startedMs = performance.now();
    const outcome = await outcomeOf(of(client()).wait("nobody", { timeoutMs: 1_000 }));
    expect(outcome).toMatchObject({ error: { code: "wait_timeout" } });
    expect(performance.now() - startedMs).toBeLessThanOrEqual(1_100);
    // Paced: a quarter of a second between two, and more.
    expect(proxy.requests.length).toBeGreaterThan(0);
  });

  it("ends at once with its signal", async () => {
    proxy.always("black hole");
    const reason = new Error("enough");
    const controller = new AbortController();
    const waiting = of(client()).wait("nobody", { timeoutMs: 30_000, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe("a call", () => {
  it("gives up a silent Worker in time, and says whether it may have been applied", async () => {
    proxy.always("black hole");
    const c = client(150);
    const [read, write] = await Promise.all([outcomeOf(c.getInt("x")), outcomeOf(c.incr("x"))]);
    expect(read).toMatchObject({ error: { code: "backend_unavailable", applied: "no", retryable: true } });
    expect(write).toMatchObject({ error: { code: "backend_unavailable", applied: "unknown", retryable: true } });
  });

  it("follows no redirect: it would take the token along", async () => {
    proxy.always("redirect");
    expect(await outcomeOf(client().getInt("x"))).toMatchObject({ error: { code: "misconfigured" } });
    await expect(of(client()).wait("x", { timeoutMs: 500 })).rejects.toMatchObject({ code: "misconfigured" });
  });

  it("is told what the Worker says", async () => {
    const c = client();
    await of(c).register("told", ["a"]);
    await expect(of(c).register("told", ["b"])).rejects.toMatchObject({ code: "conflict", applied: "no" });
    const stranger = new HttpCoordinator({ url: worker.url, token: "a-token-that-nobody-knows" });
    await expect(stranger.incr("x")).rejects.toMatchObject({ code: "unauthorized", retryable: false, applied: "no" });
    const webhook = of(c).register("hook", 1, { onEnd: { url: "https://hooks.example/" } });
    await expect(webhook).rejects.toMatchObject({ code: "unsupported" });
    const large = Array.from({ length: 5_000 }, (_, i) => `task-${i}-${"x".repeat(60)}`);
    await expect(of(c).register("large", large)).rejects.toMatchObject({ code: "limit_exceeded", applied: "no" });
    expect(await of(c).status("large")).toBeNull();
  });
});
