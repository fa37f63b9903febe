import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { CompletionTracker, type Coordinator } from "../../src/index.js";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.js";
import { overshootMs } from "../support/overshoot.js";
import { outcomeOf } from "./faults/operation.js";

const TOKEN = "the-token-of-fault-tests";

let worker: WorkerHost;
let proxy: FaultProxy;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  proxy = await startFaultProxy(worker.url);
});
afterAll(async () => {
  await proxy.close();
  await worker.close();
});
beforeEach(() => {
  proxy.faults.length = 0;
  proxy.standing = "none";
});

const client = (requestTimeoutMs = 30_000) =>
  new HttpCoordinator({ url: proxy.url, token: TOKEN, requestTimeoutMs, random: () => 0 });

const of = (c: Coordinator) => new CompletionTracker(c);

describe("a wait", () => {
  it("goes on from hop to hop, over lost connections, until the group ends", async () => {
    const c = client();
    await of(c).register("hops", ["a"]);
    proxy.faults.push("dropped before", "html before", "busy before", "error after");
    const waiting = of(c).wait("hops", { timeoutMs: 20_000 });
    setTimeout(() => void of(new HttpCoordinator({ url: worker.url, token: TOKEN })).ack("hops", "a"), 1_500);
    expect((await waiting)?.state).toBe("completed");
  });

  it.each([0.2, 1])("ends %s s after its beginning, when the Worker does not answer", async (sec) => {
    proxy.standing = "silent before";
    const lateMs = await overshootMs(sec * 1000, async () => {
      const outcome = await outcomeOf(of(client()).wait("nobody", { timeoutMs: sec * 1000 }));
      expect(outcome).toMatchObject({ error: { code: "wait_timeout" } });
    });
    expect(lateMs).toBeGreaterThanOrEqual(-5);
    expect(lateMs).toBeLessThanOrEqual(100);
  });

  it("ends in time when every connection is dropped", async () => {
    proxy.standing = "dropped before";
    const lateMs = await overshootMs(1_000, async () => {
      const outcome = await outcomeOf(of(client()).wait("nobody", { timeoutMs: 1_000 }));
      expect(outcome).toMatchObject({ error: { code: "wait_timeout" } });
    });
    expect(lateMs).toBeLessThanOrEqual(100);
    // Paced: a quarter of a second between two, and more.
    expect(proxy.requests.length).toBeGreaterThan(0);
  });

  it("ends at once with its signal", async () => {
    proxy.standing = "silent before";
    const reason = new Error("enough");
    const controller = new AbortController();
    const waiting = of(client()).wait("nobody", { timeoutMs: 30_000, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    await expect(waiting).rejects.toBe(reason);
  });
});

describe("a call", () => {
  it("gives up a silent Worker in time, and says whether it may have been applied", async () => {
    proxy.standing = "silent before";
    const c = client(150);
    const [read, write] = await Promise.all([outcomeOf(c.getInt("x")), outcomeOf(c.incr("x"))]);
    expect(read).toMatchObject({ error: { code: "backend_unavailable", applied: "no", retryable: true } });
    expect(write).toMatchObject({ error: { code: "backend_unavailable", applied: "unknown", retryable: true } });
  });

  it("follows no redirect: it would take the token along", async () => {
    proxy.standing = { status: 307, headers: { location: "https://elsewhere.example/" } };
    expect(await outcomeOf(client().getInt("x"))).toMatchObject({ error: { code: "misconfigured" } });
    await expect(of(client()).wait("x", { timeoutMs: 500 })).rejects.toMatchObject({ code: "misconfigured" });
  });

  it("fails with the code that the Worker returns", async () => {
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
