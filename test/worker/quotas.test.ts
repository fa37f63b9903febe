import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { HttpCoordinator } from "../../src/backends/http/index.js";
import { keyOf } from "../capability/forge.js";
import { type Answer, type Call, type Client, clientOf, freshId } from "./client.js";

/** The default Worker with a hook for its events, and calls whose caller goes away. */
const SOURCE = `
  import { createWorker } from "./worker/index.js";
  export { CoordinatorWorkerObject } from "./worker/index.js";
  const events = [];
  const onEvent = ({ error, ...event }) => events.push(event);
  const worker = createWorker({ quotas: { maxTtlSec: 7200, openWaits: 3 }, onEvent });
  export default {
    async fetch(request, env, ctx) {
      if (request.url.endsWith("/told")) return Response.json(events.splice(0));
      const afterMs = Number(request.headers.get("x-abort-after-ms"));
      if (!(afterMs > 0)) return worker.fetch(request, env, ctx);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), afterMs);
      const answer = await worker.fetch(new Request(request, { signal: controller.signal }), env, ctx);
      const text = await answer.text();
      return Response.json({ status: answer.status, text });
    },
  };
`;

/** A tenant for each quota, so that no test spends another's. */
const TENANTS = {
  calls: { requestsPerMinute: 4 },
  batches: { requestsPerMinute: 6 },
  client: { requestsPerMinute: 3 },
  news: { registrationsPerMinute: 2 },
  joined: { registrationsPerMinute: 5 },
  urls: { requestsPerMinute: 4 },
  waits: { openWaits: 1 },
  lists: { tasksPerCall: 3 },
  times: { maxTtlSec: 60, maxEarlySec: 30 },
  again: {},
  free: { redeliverPauseSec: "off", maxTtlSec: "off" },
};
type Tenant = keyof typeof TENANTS;

const tokenOf = (tenant: Tenant): string => `token-of-${tenant}-0123456789`;
const TOKENS = Object.fromEntries(
  (Object.keys(TENANTS) as Tenant[]).map((tenant) => [tokenOf(tenant), tenant] as const),
);

let worker: WorkerHost;
let client: Client;

beforeAll(async () => {
  const vars = {
    COORDINATOR_TOKENS: JSON.stringify(TOKENS),
    COORDINATOR_CAPABILITY_KEYS: JSON.stringify({ urls: keyOf(1) }),
    COORDINATOR_QUOTAS: JSON.stringify({ requestsPerMinute: 10_000, tenants: TENANTS }),
  };
  worker = await startWorker({ source: SOURCE, vars, rateLimits: {} });
  client = clientOf(worker.url);
});
afterAll(() => worker.close());
beforeEach(() => told());

const call = (tenant: Tenant, method: string, path: string, more: Call = {}): Promise<Answer> =>
  client(method, path, { token: tokenOf(tenant), ...more });
const register = (tenant: Tenant, id: string, body: object = { tasks: ["a"] }) =>
  call(tenant, "PUT", `/v1/groups/${id}`, { body });

async function told(): Promise<readonly object[]> {
  return (await client("GET", "/told")).json as unknown as readonly object[];
}

/** The refusal by a quota, in every form. */
async function expectRefused(tenant: Tenant, answer: Answer, quota: string): Promise<void> {
  const { status, json, headers } = answer;
  expect([status, json]).toEqual([
    429,
    {
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      title: "Too Many Requests",
      status: 429,
      detail: expect.stringContaining(`quota ${quota} of the Worker`),
      code: "rate_limited",
      retryable: true,
      applied: "no",
      "violated-policies": [quota],
    },
  ]);
  expect(headers.get("content-type")).toBe("application/problem+json");
  const retryAfter = headers.get("retry-after");
  expect(Number(retryAfter)).toBeGreaterThan(0);
  expect(headers.get("ratelimit")).toBe(`"${quota}";r=0;t=${retryAfter}`);
  expect(await told()).toMatchObject([{ type: "quota", quota, tenant }]);
}

const incr = (id: string) => ({ transition: "kv.incr", id, input: { op: freshId(), ttlMs: 60_000, delta: 1 } });

describe("requests", () => {
  it("at the limit pass; the next is refused before it is read, and another tenant's is not", async () => {
    for (let i = 0; i < 4; i++) expect((await call("calls", "GET", "/v1/groups/none")).status).toBe(404);
    const refused = await call("calls", "PUT", "/v1/groups/g", { body: { tasks: ["a"] } });
    await expectRefused("calls", refused, "requestsPerMinute");
    expect(refused.headers.get("ratelimit-policy")).toBe('"requestsPerMinute";q=4;w=60');
    expect((await call("free", "GET", "/v1/groups/g")).status).toBe(404);
  });

  it("of a batch count each, and a batch that does not fit runs none of them", async () => {
    const id = freshId();
    const batch = (count: number) =>
      call("batches", "POST", "/v1/batch", { body: { operations: Array.from({ length: count }, () => incr(id)) } });
    // Its request is counted, and it would never fit.
    expect((await batch(5)).json).toMatchObject({ status: 422, code: "limit_exceeded" });
    expect((await batch(3)).status).toBe(200);
    await expectRefused("batches", await batch(3), "requestsPerMinute");
    // One call was counted when the batch came.
    const read = await call("batches", "POST", "/v1/run/kv/getInt", { body: { id, input: {} } });
    expect(read.json.output.result).toBe("3");
  });

  it("reach HttpCoordinator as rate_limited with the wait, where it is too long for a retry", async () => {
    let fetches = 0;
    const counted = (url: string, init: RequestInit) => {
      fetches++;
      return fetch(url, init);
    };
    const options = { url: worker.url, token: tokenOf("client"), allowHttp: true, fetch: counted as never };
    const coordinator = new HttpCoordinator(options);
    for (let i = 1; i <= 3; i++) expect(await coordinator.incr("key")).toBe(i);
    const error = await coordinator.incr("key").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "rate_limited", retryable: true, applied: "no" });
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(10_000);
    expect(fetches).toBe(4);
  });
});

it("calls with a capability or a callback URL count for their tenant", async () => {
  await register("urls", "g", { tasks: ["a", "b"] });
  const { json } = await call("urls", "POST", "/v1/groups/g/callbacks", { body: { task: "a" } });
  const { token } = (await call("urls", "POST", "/v1/groups/g/capabilities", { body: { verbs: ["status"] } }))
    .json as unknown as { token: string };
  expect((await client("GET", "/v1/groups/g", { token })).status).toBe(200);
  await expectRefused("urls", await client("GET", "/v1/groups/g", { token }), "requestsPerMinute");
  const { pathname } = new URL((json as unknown as { url: string }).url);
  await expectRefused("urls", await client("POST", pathname, { token: null, body: {} }), "requestsPerMinute");
});

describe("registrations", () => {
  it("at the limit pass; the next is refused, and nothing of it is stored", async () => {
    for (const id of ["r1", "r2"]) expect((await register("news", id)).status).toBe(200);
    await expectRefused("news", await register("news", "r3"), "registrationsPerMinute");
    expect((await call("news", "GET", "/v1/groups/r3")).status).toBe(404);
    await expectRefused("news", await call("news", "PUT", "/v1/requests/r3", { body: {} }), "registrationsPerMinute");
    expect((await call("news", "POST", "/v1/groups/r1/acks", { body: { tasks: ["a"] } })).status).toBe(200);
  });

  it("of a batch count together, and its other operations run", async () => {
    const operation = (id: string) => ({
      transition: "completion.register",
      id,
      input: { op: id, fingerprint: "0".repeat(64), kind: "counted", total: 1, timeoutMs: 0, ttlMs: 60_000, lists: [] },
    });
    const operations = [operation("b1"), operation("b2"), incr("b")];
    const within = await call("joined", "POST", "/v1/batch", { body: { operations } });
    const outcomes = (answer: Answer) => (answer.json as unknown as { outcomes: object[] }).outcomes;
    expect(outcomes(within).map((outcome) => Object.keys(outcome)[0])).toEqual(["output", "output", "output"]);
    await call("joined", "POST", "/v1/batch", { body: { operations: [operation("b5"), operation("b6")] } });
    const over = await call("joined", "POST", "/v1/batch", {
      body: { operations: [operation("b3"), operation("b4"), incr("b")] },
    });
    const refused = { problem: { code: "rate_limited", "violated-policies": ["registrationsPerMinute"] } };
    expect(outcomes(over)).toMatchObject([refused, refused, { output: { result: "2" } }]);
    expect((await call("joined", "GET", "/v1/groups/b3")).status).toBe(404);
    // More than half of the rate would never fit: waiting is of no use.
    const large = await call("joined", "POST", "/v1/batch", {
      body: { operations: [operation("c1"), operation("c2"), operation("c3"), incr("b")] },
    });
    const tooLarge = { problem: { code: "limit_exceeded", detail: expect.stringContaining("at most 2 calls") } };
    expect(outcomes(large)).toMatchObject([tooLarge, tooLarge, tooLarge, { output: { result: "3" } }]);
  });
});

describe("open waits and streams", () => {
  const wait = (path: string, headers: Record<string, string> = {}) =>
    call("waits", "GET", path, { headers: { prefer: "wait=20", ...headers } });
  const ack = (path: string) => call("waits", "POST", `${path}/acks`, { body: { tasks: ["a"] } });
  const watch = (id: string, timeoutMs: number) =>
    call("waits", "POST", "/v1/watch/completion/wait", { body: { id, input: {}, timeoutMs } });
  /** Resolves when a further wait is refused: the first one is open. */
  const untilRefused = async (path: string): Promise<Answer> => {
    for (;;) {
      const answer = await call("waits", "GET", `${path}/events`, { headers: { "x-abort-after-ms": "1" } });
      const { status } = answer.json;
      if (status === 429) return call("waits", "GET", path, { headers: { prefer: "wait=1" } });
      expect(status).toBe(200);
    }
  };

  it("above the limit are refused, whatever kind they are, and end again in every way", async () => {
    const id = freshId();
    const path = `/v1/groups/${id}`;
    await register("waits", id);
    // One is open until the group ends. No other kind is let in meanwhile.
    const open = wait(path);
    const refused = await untilRefused(path);
    await told();
    expect(refused.status).toBe(429);
    const others = [
      await call("waits", "GET", `${path}/events`),
      await watch(id, 1_000),
      await call("waits", "POST", "/v1/semaphores/k/acquire", { body: { permits: 1 }, headers: { prefer: "wait=5" } }),
    ];
    expect(others.map(({ status }) => status)).toEqual([429, 429, 429]);
    expect(await told()).toHaveLength(3);
    // No place in line was left behind, and a call that does not wait is none.
    expect((await call("waits", "GET", "/v1/semaphores/k")).json).toMatchObject({ holders: [], waiting: 0 });
    expect((await call("waits", "GET", path)).status).toBe(200);
    await ack(path);
    expect((await open).json.state).toBe("completed");

    const later = freshId();
    await register("waits", later);
    const ways: readonly (() => Promise<Answer>)[] = [
      // The time is over.
      () => watch(later, 20),
      // The caller leaves a wait, and a stream.
      () => wait(`/v1/groups/${later}`, { "x-abort-after-ms": "30" }),
      () => call("waits", "GET", `/v1/groups/${later}/events`, { headers: { "x-abort-after-ms": "30" } }),
      // The record is unknown, the input is wrong, the stream is at its end.
      () => call("waits", "GET", "/v1/groups/none/events"),
      () => call("waits", "POST", "/v1/watch/completion/wait", { body: { id: later, input: { x: 1 } } }),
      () => call("waits", "GET", `${path}/events`),
      () => wait(path),
      // In line for a permit: the wait within is no second one.
      () => call("waits", "POST", "/v1/semaphores/k/acquire", { body: { permits: 1 } }),
      () =>
        call("waits", "POST", "/v1/semaphores/k/acquire", {
          body: { permits: 1 },
          headers: { prefer: "wait=20", "x-abort-after-ms": "50" },
        }),
      () => watch(later, 20),
    ];
    for (const [i, way] of ways.entries()) {
      const { status, json } = await way();
      expect([i, status === 429 || json?.status === 429]).toEqual([i, false]);
    }
    expect(await told()).toEqual([]);
  });
});

describe("what one call may ask for", () => {
  it("lists no more tasks than the quota, and numbered tasks are none of them", async () => {
    expect((await register("lists", "l1", { tasks: ["a", { stage: "s", id: "a" }, "b"] })).status).toBe(200);
    const { status, json } = await register("lists", "l2", { tasks: ["a", { stage: "s", id: "a" }, "b", "c"] });
    expect([status, json.code, json.detail]).toEqual([
      422,
      "limit_exceeded",
      expect.stringContaining("at most 3 tasks"),
    ]);
    expect((await call("lists", "GET", "/v1/groups/l2")).status).toBe(404);
    expect((await register("lists", "l3", { total: 1_000, indexed: true })).status).toBe(200);
    const many = Array.from({ length: 10_001 }, (_, i) => i);
    expect((await register("free", "l4", { tasks: many })).json.detail).toContain("at most 10000 tasks");
    expect((await register("free", "l4", { tasks: many.slice(1) })).status).toBe(200);
  });

  it.each(["ttlSec", "timeoutSec", "idleTimeoutSec"])("keeps %s within the quota", async (field) => {
    const body = { tasks: ["a"], timeoutSec: 60, ttlSec: 60 };
    expect((await register("times", freshId(), { ...body, [field]: 60 })).status).toBe(200);
    const { status, json } = await register("times", freshId(), { ...body, [field]: 61 });
    expect([status, json.code]).toEqual([422, "invalid_input"]);
    expect(json.detail).toBe(`${field} must be at most 60 seconds at this Worker (quota maxTtlSec)`);
    // The option's is for tenants without their own.
    expect((await register("again", freshId(), { ...body, [field]: 7_201 })).json.detail).toContain("at most 7200");
    expect((await register("free", freshId(), { ...body, [field]: 1_000_000 })).status).toBe(200);
  });

  it("keeps early acks no longer than the quota: an hour by default", async () => {
    const early = (tenant: Tenant, earlyTtlMs: number) =>
      call(tenant, "POST", "/v1/run/completion/ack", {
        body: { id: freshId(), input: { op: freshId(), tasks: [{ id: "a" }], earlyTtlMs } },
      });
    expect((await early("free", 3_600_000)).status).toBe(200);
    expect((await early("free", 3_600_001)).json.detail).toContain("earlyTtlSec must be at most 3600 seconds");
    expect((await early("times", 30_001)).json.detail).toContain("earlyTtlSec must be at most 30 seconds");
  });
});

describe("redeliver", () => {
  const onEnd = { handler: "none" };
  it.each([
    ["group", "/v1/groups/g", { tasks: [], onEnd }],
    ["request", "/v1/requests/g", { onEnd }],
  ])("queues a %s's delivery once a minute", async (noun, path, body) => {
    for (const tenant of ["again", "free"] as const) await call(tenant, "PUT", path, { body });
    const redeliver = (tenant: Tenant) => call(tenant, "POST", `${path}/redeliver`);
    if (noun === "request") for (const tenant of ["again", "free"] as const) await call(tenant, "POST", `${path}/seal`);
    expect((await redeliver("again")).status).toBe(200);
    const refused = await redeliver("again");
    await expectRefused("again", refused, "redeliverPauseSec");
    expect(refused.json.detail).toMatch(`the ${noun} was redelivered a moment ago`);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(30);
    expect((await redeliver("free")).status).toBe(200);
    expect((await redeliver("free")).status).toBe(200);
  });

  it("takes a copy of a call for no other call, and no pause from the caller", async () => {
    await register("again", "h", { tasks: [], onEnd });
    const copy = { id: "h", input: { op: "once" } };
    for (const _ of [1, 2]) {
      expect((await call("again", "POST", "/v1/run/completion/redeliver", { body: copy })).status).toBe(200);
    }
    const chosen = { id: "h", input: { op: "twice", pauseMs: 0 } };
    expect((await call("again", "POST", "/v1/run/completion/redeliver", { body: chosen })).status).toBe(422);
  });
});

it("a refused caller is reported with its reason, and no token", async () => {
  await client("GET", "/v1/groups/a", { token: null });
  await client("DELETE", "/v1/groups/a", { token: "canary-canary-canary" });
  await client("POST", "/c/canarycanary.canarycanary.canarycanary", { body: {} });
  expect(await told()).toEqual([
    { type: "auth_failed", method: "GET", path: "/v1/groups/a", reason: "missing" },
    { type: "auth_failed", method: "DELETE", path: "/v1/groups/a", reason: "unknown" },
    { type: "auth_failed", method: "POST", path: "/c/…", reason: "expired" },
  ]);
});

it("a rate limit of the platform counts requests, where it is bound, for each tenant", async () => {
  const bound = await startWorker({
    source: SOURCE,
    vars: {
      COORDINATOR_TOKENS: JSON.stringify(TOKENS),
      COORDINATOR_QUOTAS: '{"requestsPerMinute":1}',
    },
    rateLimits: { COORDINATOR_RATE_LIMIT: 3 },
  });
  try {
    const own = clientOf(bound.url);
    const read = (tenant: Tenant) => own("GET", "/v1/groups/none", { token: tokenOf(tenant) });
    let refused = await read("free");
    let allowed = 0;
    for (; refused.status === 404; refused = await read("free")) allowed++;
    // Twice the limit, where a minute of the platform's clock ends meanwhile.
    expect([3, 4, 5, 6]).toContain(allowed);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "10"]);
    expect((await read("again")).status).toBe(404);
    expect((await own("GET", "/health")).json).toMatchObject({ status: "ok" });
  } finally {
    await bound.close();
  }
});
