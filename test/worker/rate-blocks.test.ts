import { describe, expect, it } from "vitest";
import { MemoryCoordinator, RateLimiter } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { endingWith, OpenWaits } from "../../worker/quotas/open-waits.js";
import { IsolateQuotas } from "../../worker/quotas/quotas.js";
import { RateBlocks, type Taken } from "../../worker/quotas/rate-blocks.js";
import { checkQuotaVariables, limitsOf, QUOTAS } from "../../worker/quotas/table.js";

const LIMIT = 100;
const RATE = { key: "requestsPerMinute 100 coord:a:", limit: LIMIT, windowMs: 60_000 };

/** Isolates over one limiter, with a clock that the test moves. */
function isolates(count: number) {
  const clock = new ManualClock();
  const limiter = new RateLimiter(new MemoryCoordinator({ clock }), { limit: LIMIT, windowSec: 60 });
  const asked: number[] = [];
  const all = Array.from({ length: count }, () => new RateBlocks());
  const ask = async (cost: number) => {
    asked.push(cost);
    return { ...(await limiter.limit("a", cost)), isUnchecked: false };
  };
  const take = (isolate: number, cost = 1) =>
    (all[isolate] as RateBlocks).take(RATE, { cost, nowMs: clock.now() }, ask);
  return { clock, asked, take };
}

it("takes a twentieth at a time, and allows as many calls as the limit, and no more", async () => {
  const { take, asked } = isolates(1);
  for (let i = 0; i < LIMIT; i++) expect(await take(0)).toBe(0);
  expect(asked).toEqual(Array.from({ length: 20 }, () => 5));
  const waitMs = await take(0);
  // A call comes back after 600 ms, though a block would take 3 s.
  expect([waitMs > 0, waitMs <= 600]).toEqual([true, true]);
  const before = asked.length;
  for (let i = 0; i < 50; i++) expect(await take(0)).toBeGreaterThan(0);
  expect(asked).toHaveLength(before);
});

it("allows the next call when the wait that it told is over, and a whole limit after the window", async () => {
  const { clock, take } = isolates(1);
  for (let i = 0; i < LIMIT; i++) await take(0);
  await clock.advance((await take(0)) - 1);
  expect(await take(0)).toBeGreaterThan(0);
  await clock.advance(1);
  expect(await take(0)).toBe(0);
  await clock.advance(60_000);
  for (let i = 0; i < LIMIT; i++) expect(await take(0)).toBe(0);
  expect(await take(0)).toBeGreaterThan(0);
});

it("of several isolates: no more than the limit, and a block of each is unspent at most", async () => {
  const { take } = isolates(4);
  let allowed = 0;
  for (let i = 0; i < 4 * LIMIT; i++) if ((await take(i % 4)) === 0) allowed++;
  expect(allowed).toBe(LIMIT);
  const uneven = isolates(4);
  for (const isolate of [1, 2, 3]) expect(await uneven.take(isolate)).toBe(0);
  let one = 0;
  while ((await uneven.take(0)) === 0) one++;
  expect([one >= LIMIT - 15, one <= LIMIT - 3]).toEqual([true, true]);
});

it("spends a block for ten seconds, and then takes another", async () => {
  const { clock, take, asked } = isolates(1);
  await take(0);
  await clock.advance(9_999);
  await take(0);
  expect(asked).toEqual([5]);
  await clock.advance(1);
  await take(0);
  expect(asked).toEqual([5, 5]);
});

it("requests that come together take a block once, and else their own cost", async () => {
  const { take, asked } = isolates(1);
  expect(await Promise.all(Array.from({ length: 20 }, () => take(0)))).toEqual(Array.from({ length: 20 }, () => 0));
  expect(asked).toEqual([5, ...Array.from({ length: 19 }, () => 1)]);
});

it("counts each operation of a batch", async () => {
  const { clock, take } = isolates(1);
  expect(await take(0, 60)).toBe(0);
  expect(await take(0, 60)).toBeGreaterThan(0);
  // The denial of the large batch is none of a small one.
  expect(await take(0, 40)).toBe(0);
  await clock.advance(120_000);
  expect(await take(0, 50)).toBe(0);
});

it("lets calls pass for a second after the limiter has not answered, without a further question", async () => {
  const blocks = new RateBlocks();
  let asked = 0;
  const take = (nowMs: number, isUnchecked: boolean) =>
    blocks.take(RATE, { cost: 1, nowMs }, async () => {
      asked++;
      return { allowed: true, remaining: 0, retryAfterMs: 0, isUnchecked };
    });
  for (const nowMs of [1_000, 1_500, 1_999]) expect(await take(nowMs, true)).toBe(0);
  expect(asked).toBe(1);
  await take(2_000, false);
  await take(2_001, false);
  expect(asked).toBe(2);
});

it("takes blocks again after a request that asked was dropped", async () => {
  const { clock, take, asked } = isolates(1);
  const blocks = new RateBlocks();
  const at = (nowMs: number, ask: (cost: number) => Promise<Taken>) => blocks.take(RATE, { cost: 1, nowMs }, ask);
  void at(1_000, () => new Promise(() => {}));
  const costs: number[] = [];
  const ask = async (cost: number) => {
    costs.push(cost);
    return { allowed: true, remaining: 0, retryAfterMs: 0, isUnchecked: false };
  };
  await at(3_999, ask);
  await at(4_000, ask);
  expect(costs).toEqual([1, 5]);
  expect([await take(0), asked, clock.now() > 0]).toEqual([0, [5], true]);
});

it("remembers ten thousand rates, and forgets the one that was used least lately", async () => {
  const blocks = new RateBlocks();
  let asked = 0;
  const ask = async () => {
    asked++;
    return { allowed: true, remaining: 0, retryAfterMs: 0, isUnchecked: false };
  };
  const take = (key: string) => blocks.take({ ...RATE, key }, { cost: 1, nowMs: 1_000 }, ask);
  for (let i = 0; i < 12_000; i++) {
    await take(`key-${i}`);
    await take("often");
  }
  expect(blocks.size).toBe(10_000);
  const before = asked;
  await take("key-11999");
  expect(asked).toBe(before);
});

it("open waits: each end counts once, and nothing is left of a tenant without waits", () => {
  const waits = new OpenWaits();
  const begin = (key: string, most = 2) => waits.begin(key, most, 0);
  const [first, second] = [begin("a"), begin("a")];
  expect([begin("a"), begin("b", 1) === undefined]).toEqual([undefined, false]);
  first?.end();
  first?.end();
  expect([begin("a") === undefined, begin("a")]).toEqual([false, undefined]);
  second?.end();
  expect(waits.size).toBe(2);
});

it("open waits: one whose end never came counts for two minutes, and a stream that goes on counts on", () => {
  const waits = new OpenWaits();
  const [lost, stream] = [waits.begin("a", 2, 0), waits.begin("a", 2, 0)];
  stream?.renew(100_000);
  expect(waits.begin("a", 2, 120_000)).toBeUndefined();
  expect(waits.begin("a", 2, 120_001)).toBeDefined();
  lost?.end();
  lost?.renew(120_001);
  expect(waits.begin("a", 2, 120_001)).toBeUndefined();
});

const EVENTS = { "content-type": "text/event-stream" };

it.each<[string, (body: ReadableStream<Uint8Array>) => Promise<unknown>]>([
  ["is read to its end", (body) => new Response(body).text()],
  ["is left by the client", (body) => body.cancel()],
])("a stream that %s ends its wait once", async (_, leave) => {
  let ends = 0;
  const response = endingWith(new Response("text", { headers: { ...EVENTS, "x-own": "1" }, status: 201 }), {
    end: () => void ends++,
    sent: () => {},
  });
  expect([ends, response.status, response.headers.get("x-own")]).toEqual([0, 201, "1"]);
  await leave(response.body as ReadableStream<Uint8Array>);
  expect(ends).toBe(1);
});

it("a stream that breaks ends its wait, and an answer without a body ends it at once", async () => {
  let ends = 0;
  const hooks = { end: () => void ends++, sent: () => {} };
  const pull = (controller: ReadableStreamDefaultController): void => controller.error(new Error("broken"));
  const broken = endingWith(new Response(new ReadableStream({ pull }), { headers: EVENTS }), hooks);
  await expect(broken.text()).rejects.toThrow("broken");
  endingWith(new Response(null, { status: 204 }), hooks);
  endingWith(Response.json({}, { status: 404 }), hooks);
  expect(ends).toBe(3);
});

it("quotas: a tenant's own, then those for all, then the option's, then the defaults", () => {
  const COORDINATOR_QUOTAS = '{"openWaits":7,"maxTtlSec":8,"tenants":{"a":{"openWaits":9,"maxTtlSec":"off"}}}';
  const option = { openWaits: 1, tasksPerCall: 2, requestsPerMinute: 3 } as const;
  const limits = (tenant?: string) => limitsOf({ COORDINATOR_QUOTAS }, option, tenant);
  const shared = { requestsPerMinute: 3, tasksPerCall: 2, maxEarlySec: 3_600, redeliverPauseSec: 60 };
  const off = Number.POSITIVE_INFINITY;
  expect(limits("a")).toEqual({ ...shared, openWaits: 9, maxTtlSec: off, registrationsPerMinute: off });
  for (const tenant of ["b", undefined]) {
    expect(limits(tenant)).toEqual({ ...shared, openWaits: 7, maxTtlSec: 8, registrationsPerMinute: off });
  }
});

it.each([
  "canary",
  "[]",
  "null",
  '{"canary":1}',
  '{"openWaits":0}',
  '{"openWaits":1.5}',
  '{"openWaits":"canary"}',
  `{"openWaits":${QUOTAS.openWaits.most + 1}}`,
  '{"tenants":[]}',
  '{"tenants":{"{canary}":{}}}',
  '{"tenants":{"a":{"canary":1}}}',
  '{"tenants":{"a":null}}',
  '{"tenants":{"a":{"tenants":{}}}}',
  // A table in wrangler.toml is an object.
  { canary: 1 } as never,
])("the variable %s is refused by its name, and without its text", (COORDINATOR_QUOTAS) => {
  let message = "";
  try {
    checkQuotaVariables({ COORDINATOR_QUOTAS });
  } catch (error) {
    message = String(error);
  }
  expect(message).toMatch(/COORDINATOR_QUOTAS is malformed: /);
  expect(message).not.toContain("canary");
});

it("a binding that is no rate limit is refused by its name", () => {
  const COORDINATOR_RATE_LIMIT = "canary" as never;
  expect(() => checkQuotaVariables({ COORDINATOR_RATE_LIMIT })).toThrow(/^COORDINATOR_RATE_LIMIT must be a rate limit/);
});

it("a malformed variable leaves the option's quotas, and is reported", async () => {
  const isolate = new IsolateQuotas({ openWaits: 2 });
  const events: object[] = [];
  const caller = { keyPrefix: "coord:a:", call: { method: "GET", path: "/" }, nowMs: Date.now };
  const tell = (event: object): void => void events.push(event);
  const namespace = (): never => {
    throw new Error("no rate is counted");
  };
  const env = { COORDINATOR_QUOTAS: "canary", COORDINATOR_RATE_LIMIT: "canary" as never };
  const quotas = isolate.of({ ...caller, env, tell, namespace });
  expect([quotas.limits.openWaits, quotas.limits.maxEarlySec]).toEqual([2, 3_600]);
  await quotas.request();
  expect(events).toMatchObject([
    { type: "misconfigured", variable: "COORDINATOR_RATE_LIMIT" },
    { type: "misconfigured", variable: "COORDINATOR_QUOTAS" },
  ]);
  const denies = { limit: async () => ({ success: false }) };
  const bound = isolate.of({ ...caller, env: { ...env, COORDINATOR_RATE_LIMIT: denies }, tell, namespace });
  await expect(bound.request()).rejects.toMatchObject({ code: "rate_limited" });
});

it("the platform's rate limit counts a batch as one request", async () => {
  let asked = 0;
  const limit = async () => ({ success: ++asked <= 1 });
  const caller = {
    keyPrefix: "coord:a:",
    call: { method: "POST", path: "/v1/batch" },
    nowMs: Date.now,
    tell: () => {},
  };
  const namespace = (): never => {
    throw new Error("no rate is counted");
  };
  const quotas = new IsolateQuotas({}).of({ ...caller, namespace, env: { COORDINATOR_RATE_LIMIT: { limit } } });
  await quotas.request();
  await quotas.furtherCalls(99);
  expect(asked).toBe(1);
});

it("a binding that fails, and a limiter that cannot be reached, allow the call and are reported", async () => {
  const isolate = new IsolateQuotas({ registrationsPerMinute: 1 });
  const events: object[] = [];
  const error = new Error("away");
  const broken = (): never => {
    throw error;
  };
  const quotas = isolate.of({
    env: { COORDINATOR_RATE_LIMIT: { limit: async () => broken() } },
    keyPrefix: "coord:a:",
    namespace: () => ({ idFromName: broken, get: broken, jurisdiction: broken }),
    call: { method: "GET", path: "/" },
    nowMs: Date.now,
    tell: (event) => void events.push(event),
  });
  await quotas.request();
  await quotas.registrations(1);
  expect(events).toMatchObject([
    { type: "quota_unchecked", quota: "requestsPerMinute", tenant: "a", error },
    { type: "quota_unchecked", quota: "registrationsPerMinute", tenant: "a" },
  ]);
});

describe("an event stream of a tenant with one open wait", () => {
  const open = (isolate: IsolateQuotas, method = "GET") => {
    const broken = (): never => {
      throw new Error("no rate is counted");
    };
    const call = { method, path: "/" };
    const caller = { env: {}, keyPrefix: "coord:a:", namespace: broken, call, nowMs: Date.now, tell: () => {} };
    return (signal: AbortSignal, answer: () => Promise<Response>) => isolate.of(caller).stream(signal, answer);
  };
  const silent = async () => new Response(new ReadableStream(), { headers: EVENTS });

  it("that the client left unread is over when the client is gone", async () => {
    const isolate = new IsolateQuotas({ openWaits: 1 });
    const stream = open(isolate);
    const controller = new AbortController();
    await stream(controller.signal, silent);
    await expect(stream(new AbortController().signal, silent)).rejects.toMatchObject({ code: "rate_limited" });
    controller.abort();
    expect(isolate.waits.size).toBe(0);
    await stream(controller.signal, silent);
    expect(isolate.waits.size).toBe(0);
  });

  it("of a HEAD is over at once: the platform neither reads nor cancels its body", async () => {
    const isolate = new IsolateQuotas({ openWaits: 1 });
    await open(isolate, "HEAD")(new AbortController().signal, silent);
    expect(isolate.waits.size).toBe(0);
  });

  it("that could not begin is over", async () => {
    const isolate = new IsolateQuotas({ openWaits: 1 });
    const failed = open(isolate)(new AbortController().signal, () => Promise.reject(new Error("away")));
    await expect(failed).rejects.toThrow("away");
    expect(isolate.waits.size).toBe(0);
  });
});
