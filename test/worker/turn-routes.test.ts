import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { Mutex, RateLimiter } from "../../src/index.js";
import { expectSoon } from "../support/expect-soon.js";
import { type Call, clientOf, freshId, TOKEN } from "./client.js";

const OTHER = "a-token-of-another-tenant";

/** The Worker, with requests whose caller goes away: `x-abort-after-ms` aborts the signal as production does. */
const ABORTING = `
  import worker from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  export default {
    async fetch(request, env, ctx) {
      const afterMs = Number(request.headers.get("x-abort-after-ms"));
      if (!(afterMs > 0)) return worker.fetch(request, env, ctx);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), afterMs);
      return worker.fetch(new Request(request, { signal: controller.signal }), env, ctx);
    },
  };
`;

let worker: WorkerHost;
beforeAll(async () => {
  const vars = { COORDINATOR_TOKEN: TOKEN, COORDINATOR_TOKENS: JSON.stringify({ [OTHER]: "b" }) };
  worker = await startWorker({ vars, source: ABORTING });
});
afterAll(() => worker.close());

/** Every field that an answer of these routes has. */
interface Body {
  readonly outcome: string;
  readonly permitId: string;
  readonly fencingToken: number;
  readonly expiresInMs: number;
  readonly retryAfterMs: number;
  readonly held: boolean;
  readonly released: boolean;
  readonly waiting: number;
  readonly holders: readonly Body[];
  readonly waiters: readonly Body[];
  readonly code: string;
  readonly detail: string;
}

async function call(method: string, path: string, options: Call = {}) {
  const { status, headers, json } = await clientOf(worker.url)(method, path, options);
  return { status, headers, json: json as unknown as Body };
}

const semaphore = () => `/v1/semaphores/${freshId()}`;
const waiting = (sec: number) => ({ prefer: `wait=${sec}` });

/** Acquires one of one permits. */
async function acquire(path: string, body: object = {}, options: Call = {}): Promise<Body> {
  const { status, json } = await call("POST", `${path}/acquire`, { body: { permits: 1, ...body }, ...options });
  expect([200, 499]).toContain(status);
  return json;
}
const release = (path: string, permitId: string, options: Call = {}) =>
  call("POST", `${path}/release`, { body: { permitId }, ...options });
const statusOf = async (path: string, options: Call = {}) => (await call("GET", path, options)).json;
/** Waits until so many callers are in line. */
const inLine = (path: string, count: number) => expect.poll(async () => (await statusOf(path)).waiting).toBe(count);

describe("permits over HTTP", () => {
  it("grants as many permits as there are, and each again once it is released", async () => {
    const path = semaphore();
    const first = await acquire(path, { leaseSec: 60 });
    expect(first).toEqual({
      outcome: "granted",
      permitId: expect.stringMatching(/^[0-9a-f]{32}$/),
      fencingToken: expect.any(Number),
      expiresInMs: 60_000,
    });
    expect(await acquire(path)).toEqual({ outcome: "busy", retryAfterMs: expect.any(Number) });
    expect((await acquire(path, { permits: 2 })).outcome).toBe("granted");
    expect((await release(path, first.permitId)).json).toEqual({ released: true });
    expect((await release(path, first.permitId)).json).toEqual({ released: true });
    const next = await acquire(path, { permits: 2 });
    expect(next.fencingToken).toBeGreaterThan(first.fencingToken);
  });

  it("returns the same permit to a caller that sends its permitId again", async () => {
    const path = semaphore();
    const permitId = crypto.randomUUID();
    const [a, b] = await Promise.all([
      acquire(path, { permits: 5, permitId }),
      acquire(path, { permits: 5, permitId }),
    ]);
    expect([a.outcome, a.permitId, a.fencingToken]).toEqual(["granted", permitId, b.fencingToken]);
    expect((await statusOf(path)).holders).toHaveLength(1);
    await release(path, permitId);
    expect(await acquire(path, { permits: 5, permitId })).toEqual({ outcome: "over" });
  });

  it("extends a lease that is held, and no other", async () => {
    const path = semaphore();
    const { permitId } = await acquire(path, { leaseSec: 1 });
    const extended = await call("POST", `${path}/extend`, { body: { permitId, leaseSec: 600 } });
    expect([extended.status, extended.json]).toEqual([200, { held: true }]);
    expect((await statusOf(path)).holders[0]?.expiresInMs).toBeGreaterThan(500_000);
    await release(path, permitId);
    expect((await call("POST", `${path}/extend`, { body: { permitId } })).json).toEqual({ held: false });
  });

  it("serves waiting callers in order", async () => {
    const path = semaphore();
    let { permitId } = await acquire(path);
    const order: string[] = [];
    const inOrder = ["a", "b", "c"];
    const all: Promise<void>[] = [];
    for (const [n, name] of inOrder.entries()) {
      const own = acquire(path, { permitId: name }, { headers: waiting(30) });
      all.push(
        own.then(({ outcome }) => {
          order.push(`${name} ${outcome}`);
        }),
      );
      await inLine(path, n + 1);
    }
    for (const name of inOrder) {
      await release(path, permitId);
      await expect.poll(() => order.at(-1)).toBe(`${name} granted`);
      permitId = name;
    }
    await Promise.all(all);
  });

  it("says how long it waits, a minute at most, and answers as soon as a permit is free", async () => {
    await expectSoon(2_000, async () => {
      const path = semaphore();
      const { permitId } = await acquire(path);
      const waited = call("POST", `${path}/acquire`, { body: { permits: 1 }, headers: waiting(999) });
      await inLine(path, 1);
      const releasedMs = performance.now();
      await release(path, permitId);
      const { json, headers } = await waited;
      expect([json.outcome, headers.get("preference-applied")]).toEqual(["granted", "wait=60"]);
      return performance.now() - releasedMs;
    });
  });

  it("lists the holders and the line", async () => {
    const path = semaphore();
    const empty = { holders: [], waiters: [], waiting: 0, lastFencingToken: 0 };
    expect(await statusOf(path)).toEqual(empty);
    const { permitId, fencingToken } = await acquire(path);
    const waited = acquire(path, { permitId: "second" }, { headers: waiting(30) });
    await inLine(path, 1);
    expect(await statusOf(path)).toEqual({
      holders: [{ permitId, fencingToken, expiresInMs: expect.any(Number) }],
      waiters: [{ permitId: "second", offered: false, silentMs: expect.any(Number) }],
      waiting: 1,
      lastFencingToken: fencingToken,
    });
    await release(path, permitId);
    await waited;
    expect(await statusOf(`${path}?namespace=7`)).toEqual(empty);
  });
});

describe("a place in line", () => {
  it("is kept for a caller with a permitId, which continues its wait by the same call", async () => {
    const path = semaphore();
    const { permitId } = await acquire(path);
    expect(await acquire(path, { permitId: "first" }, { headers: waiting(1) })).toEqual({ outcome: "queued" });
    const second = acquire(path, { permitId: "second" }, { headers: waiting(30) });
    await inLine(path, 2);
    await release(path, permitId);
    expect((await acquire(path, { permitId: "first" }, { headers: waiting(30) })).outcome).toBe("granted");
    await release(path, "first");
    expect((await second).outcome).toBe("granted");
  });

  it("is given up when the wait of a caller without a permitId is over", async () => {
    const path = semaphore();
    await acquire(path);
    expect(await acquire(path, {}, { headers: waiting(1) })).toEqual({ outcome: "busy", retryAfterMs: 0 });
    await inLine(path, 0);
  });

  it("is given up by a caller that goes away, and by a release", async () => {
    const path = semaphore();
    const { permitId } = await acquire(path);
    for (const body of [{}, { permitId: "own" }]) {
      const gone = acquire(path, body, { headers: { ...waiting(30), "x-abort-after-ms": "400" } });
      await inLine(path, 1);
      await gone;
      await inLine(path, 0);
    }
    // The same call takes a place again, as a caller does that reconnects.
    const again = acquire(path, { permitId: "own" }, { headers: waiting(30) });
    await inLine(path, 1);
    expect((await release(path, "own")).json).toEqual({ released: false });
    expect(await again).toEqual({ outcome: "over" });
    await release(path, permitId);
    expect((await acquire(path)).outcome).toBe("granted");
  });

  it("is refused with 429 once a thousand callers wait", async () => {
    const id = freshId();
    const path = `/v1/semaphores/${id}`;
    await acquire(path);
    const record = `7:default${id.length + 2}:${id.length}:${id}`;
    const input = (op: number) => ({ op: `${op}`, permits: 1, leaseMs: 1_000, queue: true });
    for (let from = 0; from < 1_000; from += 100) {
      const operations = Array.from({ length: 100 }, (_, n) => ({
        transition: "semaphore.acquire",
        id: record,
        input: input(from + n),
      }));
      await call("POST", "/v1/batch", { body: { operations } });
    }
    const full = await statusOf(path);
    expect([full.waiting, full.waiters.length]).toEqual([1_000, 100]);
    const refused = await call("POST", `${path}/acquire`, { body: { permits: 1 }, headers: waiting(5) });
    expect([refused.status, refused.json.code, refused.headers.get("retry-after")]).toEqual([
      429,
      "limit_exceeded",
      "1",
    ]);
  });
});

describe("limits over HTTP", () => {
  it("allows the burst, then denies with 200, and says how long to wait", async () => {
    const path = `/v1/limits/${freshId()}`;
    const body = { limit: 10, windowSec: 600, burst: 2 };
    const first = await call("POST", path, { body });
    const allowed = { allowed: true, limit: 10, remaining: 1, resetMs: 60_000, retryAfterMs: 0 };
    expect([first.status, first.json]).toEqual([200, allowed]);
    await call("POST", path, { body });
    const denied = await call("POST", path, { body });
    expect(denied.status).toBe(200);
    expect(denied.json).toMatchObject({ allowed: false, remaining: 0 });
    expect(denied.json.retryAfterMs).toBeGreaterThan(50_000);
    expect(["retry-after", "ratelimit"].map((name) => denied.headers.get(name))).toEqual([null, null]);
    expect((await call("POST", path, { body: { ...body, cost: 0 } })).json).toMatchObject({
      allowed: true,
      remaining: 0,
    });
  });

  it("shares keys with the library's classes, by their namespace", async () => {
    const id = freshId();
    const coordinator = new HttpCoordinator({ url: worker.url, token: TOKEN });
    const options = { limit: 10, windowSec: 600, namespace: "per-user" };
    await new RateLimiter(coordinator, options).limit(id);
    expect((await call("POST", `/v1/limits/${id}`, { body: options })).json).toMatchObject({ remaining: 8 });
    const permit = await new Mutex(coordinator).acquire(id);
    const path = `/v1/semaphores/${id}`;
    expect((await acquire(path, { namespace: "mutex" })).outcome).toBe("busy");
    expect((await statusOf(`${path}?namespace=mutex`)).holders[0]?.permitId).toBe(permit?.permitId);
    const released = await call("POST", `${path}/release`, {
      body: { permitId: permit?.permitId, namespace: "mutex" },
    });
    expect(released.json).toEqual({ released: true });
  });
});

describe("tenants", () => {
  it("have permits and limits of their own, under the same keys", async () => {
    const path = semaphore();
    const own = await acquire(path, { permitId: "shared" });
    const other = await acquire(path, {}, { token: OTHER });
    expect([own.outcome, other.outcome]).toEqual(["granted", "granted"]);
    expect((await release(path, "shared", { token: OTHER })).json).toEqual({ released: false });
    expect((await statusOf(path, { token: OTHER })).holders.map(({ permitId }) => permitId)).toEqual([other.permitId]);
    expect((await statusOf(path)).holders.map(({ permitId }) => permitId)).toEqual(["shared"]);
    const limits = `/v1/limits/${freshId()}`;
    const body = { limit: 1, windowSec: 600 };
    for (const token of [TOKEN, OTHER]) {
      expect((await call("POST", limits, { body, token })).json).toMatchObject({ allowed: true });
    }
    expect((await call("POST", limits, { body })).json).toMatchObject({ allowed: false });
    for (const [method, route] of [
      ["GET", path],
      ["POST", `${path}/acquire`],
      ["POST", limits],
    ] as const) {
      expect((await call(method, route, { token: null })).status).toBe(401);
    }
  });
});

const ACQUIRE = { permits: 1 };
const LIMIT = { limit: 10, windowSec: 60 };
const long = "x".repeat(257);

describe("bad input of the routes", () => {
  it.each([
    ["acquire", {}, "permits is required"],
    ["acquire", { permits: 257 }, "permits must be a whole number from 1 to 256"],
    ["acquire", { ...ACQUIRE, leaseSec: 0.5 }, "leaseSec must be a number from 1 to 86400"],
    ["acquire", { ...ACQUIRE, leaseSec: "30s" }, "leaseSec must be a number"],
    ["acquire", { ...ACQUIRE, permitId: "" }, "permitId must be 1 to 256 bytes"],
    ["acquire", { ...ACQUIRE, namespace: "" }, "namespace must not be empty"],
    ["acquire", { ...ACQUIRE, namespace: "n".repeat(65) }, "namespace must be at most 64 bytes"],
    ["acquire", { ...ACQUIRE, waitSec: 5 }, "unknown field: waitSec"],
    ["extend", {}, "permitId is required"],
    ["extend", { permitId: "a", leaseSec: 86_401 }, "leaseSec"],
    ["release", { permitId: long }, "permitId must be 1 to 256 bytes"],
  ])("POST …/%s with %j", async (step, body, detail) => {
    const { status, json } = await call("POST", `/v1/semaphores/a/${step}`, { body });
    expect([status, json.code]).toEqual([422, "invalid_input"]);
    expect(json.detail).toContain(detail);
  });

  it.each([
    [{ windowSec: 60 }, "limit is required"],
    [{ ...LIMIT, windowSec: 0 }, "windowSec must be a number from 0.001 to 2678400"],
    [{ ...LIMIT, limit: 1_000_001 }, "limit must be a whole number from 1 to 1000000"],
    [{ ...LIMIT, burst: 0 }, "burst must be a whole number from 1 to 1000000"],
    [{ ...LIMIT, cost: 11 }, "cost must be a whole number from 0 to 10"],
    [{ limit: 1, windowSec: 2_678_400, burst: 1_000 }, "burst must refill within a year"],
    [{ ...LIMIT, onError: "allow" }, "unknown field: onError"],
  ])("POST /v1/limits with %j", async (body, detail) => {
    const { status, json } = await call("POST", "/v1/limits/a", { body });
    expect([status, json.code]).toEqual([422, "invalid_input"]);
    expect(json.detail).toContain(detail);
  });

  it("of a key, a query, a method and a body", async () => {
    const acquireAt = (key: string) => call("POST", `/v1/semaphores/${key}/acquire`, { body: ACQUIRE });
    expect((await acquireAt("k".repeat(2_049))).json.detail).toContain("key must be at most 2048 bytes");
    expect((await acquireAt("%zz")).json.code).toBe("malformed");
    expect((await acquireAt("a%2Fb%20%E2%82%AC")).json.outcome).toBe("granted");
    expect((await call("GET", "/v1/semaphores/a?limit=5")).json.detail).toContain("unknown field: limit");
    const wrong = await call("GET", "/v1/semaphores/a/acquire");
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
    expect((await call("DELETE", "/v1/limits/a")).headers.get("allow")).toBe("POST");
    expect((await call("POST", "/v1/limits/a", { body: "{" })).json.code).toBe("malformed");
  });
});
