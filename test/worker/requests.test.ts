import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { MAX_BODY_BYTES } from "../../worker/body.js";
import { type Call, type Client, clientOf, freshId, type StageBody, TOKEN } from "./client.js";

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

const UNKNOWN = { verdict: "unknown", state: "unknown" };
const stage = (counts: Partial<StageBody> = {}): StageBody => ({
  processed: 0,
  requeueCount: 0,
  errorCount: 0,
  errors: [],
  ...counts,
});

interface Made {
  readonly id: string;
  readonly path: string;
}

async function made(body?: object): Promise<Made> {
  const id = freshId();
  const path = `/v1/requests/${id}`;
  await call("PUT", path, body === undefined ? {} : { body });
  return { id, path };
}

const post = async (path: string, body?: object): Promise<unknown> => {
  const { status, json } = await call("POST", path, body === undefined ? {} : { body });
  return status === 200 ? json : [status, json];
};
const waitOn = (path: string, sec: number) => call("GET", path, { headers: { prefer: `wait=${sec}` } });

describe("a request", () => {
  it("is pending until its roots are marked, and then complete with what was counted", async () => {
    const { id, path } = await made();
    expect((await call("GET", path)).json).toEqual({ id, state: "pending", queueStatus: {} });

    expect(await post(`${path}/roots`, { stage: "parse", roots: ["a", "b"] })).toEqual({
      verdict: "accepted",
      state: "pending",
    });
    expect(await post(`${path}/marks`, { stage: "parse", rootId: "a", processed: 3 })).toEqual({
      verdict: "accepted",
      state: "pending",
    });
    expect(await post(`${path}/marks`, { stage: "parse", rootId: "b", error: "unreadable" })).toEqual({
      verdict: "accepted",
      state: "complete",
    });
    const answer = await call("GET", path);
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
    expect(answer.json).toEqual({
      id,
      state: "complete",
      queueStatus: { parse: stage({ processed: 3, errorCount: 1, errors: [{ message: "unreadable" }] }) },
    });
  });

  it("hands a root on in the step that closes it", async () => {
    const { path } = await made();
    await post(`${path}/roots`, { stage: "parse", roots: ["a"] });
    const next = [
      { stage: "embed", rootId: "a-1" },
      { stage: "embed", rootId: "a-2" },
      { stage: "index", rootId: "a" },
    ];
    expect(await post(`${path}/marks`, { stage: "parse", rootId: "a", next })).toMatchObject({ state: "pending" });
    for (const root of next) expect(await post(`${path}/marks`, root)).toMatchObject({ verdict: "accepted" });
    expect((await call("GET", path)).json).toMatchObject({
      state: "complete",
      queueStatus: { parse: stage({ processed: 1 }), embed: stage({ processed: 2 }), index: stage({ processed: 1 }) },
    });
  });

  it("counts a root once, keeps a mark that comes before its root, and stays as it is once it is sealed", async () => {
    const { path } = await made();
    const mark = { stage: "s", rootId: "a" };
    expect(await post(`${path}/marks`, mark)).toEqual({ verdict: "early", state: "pending" });
    expect(await post(`${path}/marks`, mark)).toEqual({ verdict: "duplicate", state: "pending" });
    expect(await post(`${path}/marks`, { ...mark, error: "too late to fail" })).toMatchObject({ verdict: "duplicate" });
    expect(await post(`${path}/roots`, { stage: "s", roots: ["a"] })).toEqual({
      verdict: "accepted",
      state: "complete",
    });
    expect(await post(`${path}/roots`, { stage: "s", roots: ["a"] })).toEqual({
      verdict: "duplicate",
      state: "complete",
    });
    expect(await post(`${path}/seal`)).toEqual({ verdict: "accepted", state: "complete" });
    expect(await post(`${path}/seal`)).toEqual({ verdict: "duplicate", state: "complete" });
    expect(await post(`${path}/roots`, { stage: "s", roots: ["b"] })).toEqual({ verdict: "late", state: "complete" });
    expect(await post(`${path}/marks`, { stage: "s", rootId: "b" })).toEqual({ verdict: "late", state: "complete" });
    expect((await call("GET", path)).json.queueStatus).toEqual({ s: stage({ processed: 1 }) });
  });

  it("is complete when it is sealed without a root", async () => {
    const { id, path } = await made();
    expect(await post(`${path}/seal`)).toEqual({ verdict: "accepted", state: "complete" });
    expect((await call("GET", path)).json).toEqual({ id, state: "complete", queueStatus: {} });
  });

  it("is the same request when its registration is repeated", async () => {
    const path = `/v1/requests/${freshId()}`;
    const first = await call("PUT", path);
    expect([first.status, first.json]).toEqual([200, { verdict: "accepted", state: "pending" }]);
    await post(`${path}/roots`, { stage: "s", roots: ["a"] });
    await post(`${path}/marks`, { stage: "s", rootId: "a" });
    const again = await call("PUT", path, { body: { ttlSec: 5 } });
    expect([again.status, again.json]).toEqual([200, { verdict: "duplicate", state: "complete" }]);
    expect((await call("GET", path)).json.queueStatus).toEqual({ s: stage({ processed: 1 }) });
  });

  it("is gone after DELETE, which may be repeated, and nothing brings it back", async () => {
    const { path } = await made();
    await post(`${path}/roots`, { stage: "s", roots: ["a"] });
    for (let i = 0; i < 2; i++) {
      const { status, text } = await call("DELETE", path);
      expect([status, text]).toEqual([204, ""]);
      expect(await post(`${path}/marks`, { stage: "s", rootId: "a" })).toEqual(UNKNOWN);
      expect((await call("GET", path)).status).toBe(404);
    }
    expect((await call("PUT", path)).json).toEqual({ verdict: "accepted", state: "pending" });
  });

  it("that is not registered: marks, roots and a seal return unknown, and a read returns 404", async () => {
    const path = `/v1/requests/${freshId()}`;
    expect(await post(`${path}/marks`, { stage: "s", rootId: "a" })).toEqual(UNKNOWN);
    expect(await post(`${path}/roots`, { stage: "s", roots: ["a"] })).toEqual(UNKNOWN);
    expect(await post(`${path}/seal`)).toEqual(UNKNOWN);
    expect((await call("DELETE", path)).status).toBe(204);
    const { status, json } = await call("GET", path);
    expect([status, json.code, json.retryable]).toEqual([404, "not_found", false]);
    expect(json.detail).toMatch(/no such request/);
  });

  it("lives as long as ttlSec says", async () => {
    const short = await made({ ttlSec: 1 });
    const long = await made({ ttlSec: 60 });
    const usual = await made();
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const statuses = await Promise.all([short, long, usual].map(async ({ path }) => (await call("GET", path)).status));
    expect(statuses).toEqual([404, 200, 200]);
  });

  it("keeps a stage of any name, and what was said there up to a kilobyte", async () => {
    const { path } = await made();
    const names = ["__proto__", "ü 日本", "a.b", "x".repeat(64), "7"];
    for (const name of names) {
      await post(`${path}/roots`, { stage: name, roots: ["__proto__"] });
      expect(
        await post(`${path}/marks`, { stage: name, rootId: "__proto__", error: "日".repeat(1_000) }),
      ).toMatchObject({
        verdict: "accepted",
      });
    }
    const { json } = await call("GET", path);
    expect(json.state).toBe("complete");
    expect(Object.keys(json.queueStatus).sort()).toEqual([...names].sort());
    for (const name of names) {
      const found = Object.getOwnPropertyDescriptor(json.queueStatus, name)?.value as StageBody;
      expect(found).toEqual(stage({ errorCount: 1, errors: [{ message: "日".repeat(341) }] }));
    }
  });
});

describe("PUT without a body", () => {
  const empty = () => new ReadableStream({ start: (controller) => controller.close() });
  it.each<[string, () => Call]>([
    ["and nothing else", () => ({})],
    ["but with its type", () => ({ headers: { "content-type": "application/json" } })],
    ["of any type", () => ({ headers: { "content-type": "text/plain" } })],
    ["of no announced length", () => ({ body: empty() })],
    ["but an empty object", () => ({ body: {} })],
  ])("%s registers", async (_, request) => {
    const { status, json } = await call("PUT", `/v1/requests/${freshId()}`, request());
    expect([status, json]).toEqual([200, { verdict: "accepted", state: "pending" }]);
  });
});

const ID = "refused";
const PATH = `/v1/requests/${ID}`;
const long = "x".repeat(257);
const many = (n: number) => Array.from({ length: n }, (_, i) => `root-${i}`);
const roots = (body: unknown): [string, string, Call] => ["POST", `${PATH}/roots`, { body }];
const mark = (body: unknown): [string, string, Call] => ["POST", `${PATH}/marks`, { body }];
const root = { stage: "s", rootId: "a" };

/** What is sent, the status, the code, and what the detail must name. */
const REFUSALS: readonly (readonly [...[string, string, Call], number, string, RegExp])[] = [
  ["GET", "/v1/requests", {}, 404, "not_found", /nothing under/],
  ["GET", "/v1/requests/", {}, 404, "not_found", /nothing under/],
  ["POST", `${PATH}/acks`, {}, 404, "not_found", /nothing under/],
  ["POST", PATH, {}, 405, "method_not_allowed", /PUT, GET, HEAD, DELETE$/],
  ["GET", `${PATH}/marks`, {}, 405, "method_not_allowed", /POST$/],
  ["PUT", "/v1/requests/a%", {}, 400, "malformed", /percent/],
  ["PUT", `/v1/requests/${long}`, {}, 422, "invalid_input", /the request's id/],
  ["GET", `/v1/requests/${long}`, {}, 422, "invalid_input", /the request's id/],
  ["DELETE", `/v1/requests/${long}`, {}, 422, "invalid_input", /the request's id/],
  ["POST", `/v1/requests/${long}/seal`, {}, 422, "invalid_input", /the request's id/],
  ["PUT", PATH, { body: "{}", headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type", /json/],
  ["PUT", PATH, { body: "{}", headers: { "content-encoding": "gzip" } }, 415, "unsupported_media_type", /json/],
  ["PUT", PATH, { body: "{" }, 400, "malformed", /not JSON/],
  ["PUT", PATH, { body: " " }, 400, "malformed", /not JSON/],
  ["PUT", PATH, { body: "null" }, 422, "invalid_input", /must be an object/],
  ["PUT", PATH, { body: { ttl: 5 } }, 422, "invalid_input", /unknown field: ttl$/],
  ["PUT", PATH, { body: { ttlSec: 0.9 } }, 422, "invalid_input", /^ttlSec must be 1 to/],
  ["PUT", PATH, { body: { ttlSec: 1e9 } }, 422, "invalid_input", /^ttlSec/],
  ["PUT", PATH, { body: { ttlSec: "60" } }, 422, "invalid_input", /^ttlSec must be a number/],
  ["PUT", PATH, { body: `"${"x".repeat(MAX_BODY_BYTES)}"` }, 413, "too_large", /262144 bytes/],
  ["POST", `${PATH}/roots`, {}, 415, "unsupported_media_type", /json/],
  [...roots([]), 422, "invalid_input", /must be an object/],
  [...roots({ roots: ["a"] }), 422, "invalid_input", /^stage is required/],
  [...roots({ stage: "", roots: ["a"] }), 422, "invalid_input", /^stage must be 1 to 64 bytes/],
  [...roots({ stage: "日".repeat(22), roots: ["a"] }), 422, "invalid_input", /^stage must be 1 to 64 bytes/],
  [...roots({ stage: "s" }), 422, "invalid_input", /^roots is required/],
  [...roots({ stage: "s", roots: "a" }), 422, "invalid_input", /^roots must be a list/],
  [...roots({ stage: "s", roots: [] }), 422, "invalid_input", /^roots must hold 1 to 1000/],
  [...roots({ stage: "s", roots: many(1_001) }), 422, "invalid_input", /^roots must hold 1 to 1000/],
  [...roots({ stage: "s", roots: ["a", ""] }), 422, "invalid_input", /^roots\[1\] must be 1 to 256/],
  [
    ...roots({ stage: "s", roots: [{ stage: "s", rootId: "a" }] }),
    422,
    "invalid_input",
    /^roots\[0\] must be a string/,
  ],
  [...roots({ stage: "s", roots: ["a"], rootId: "a" }), 422, "invalid_input", /unknown field: rootId/],
  [...roots({ stage: "s", roots: Array(1_000).fill("x".repeat(300)) }), 413, "too_large", /262144 bytes/],
  [...mark({ rootId: "a" }), 422, "invalid_input", /^stage is required/],
  [...mark({ stage: "s" }), 422, "invalid_input", /^rootId is required/],
  [...mark({ ...root, stage: "s".repeat(65) }), 422, "invalid_input", /^stage must be 1 to 64/],
  [...mark({ ...root, rootId: long }), 422, "invalid_input", /^rootId must be 1 to 256/],
  [...mark({ ...root, rootId: "\ud800" }), 422, "invalid_input", /^rootId/],
  [...mark({ ...root, processed: -1 }), 422, "invalid_input", /^processed must be a whole number from 0/],
  [...mark({ ...root, processed: 1.5 }), 422, "invalid_input", /^processed/],
  [...mark({ ...root, processed: 1_000_000_001 }), 422, "invalid_input", /^processed/],
  [...mark({ ...root, error: 5 }), 422, "invalid_input", /^error must be a string/],
  [...mark({ ...root, error: "x", processed: 0 }), 422, "invalid_input", /must not have an error together with/],
  [...mark({ ...root, error: "x", next: [] }), 422, "invalid_input", /must not have an error together with/],
  [...mark({ ...root, next: [{ stage: "s" }] }), 422, "invalid_input", /^next\[0\]\.rootId is required/],
  [...mark({ ...root, next: [{ ...root, stage: "" }] }), 422, "invalid_input", /^next\[0\]\.stage/],
  [...mark({ ...root, next: [{ ...root, processed: 1 }] }), 422, "invalid_input", /unknown field: processed/],
  [...mark({ ...root, next: Array(1_001).fill(root) }), 422, "invalid_input", /^next must hold 0 to 1000/],
  [
    ...mark({ ...root, next: many(64).map((name) => ({ stage: name, rootId: "a" })) }),
    422,
    "invalid_input",
    /^next must name at most 64 stages/,
  ],
  [...mark({ marks: [root] }), 422, "invalid_input", /is required|unknown field/],
];

describe("a refusal", () => {
  it.each(REFUSALS.map((refusal, i) => [i, ...refusal] as const))(
    "%i: %s %s",
    async (_, method, path, request, status, code, detail) => {
      const answer = await call(method, path, request);
      expect([answer.status, answer.json?.code]).toEqual([status, code]);
      expect(answer.json.detail).toMatch(detail);
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(answer.json).toMatchObject({ status, retryable: false, applied: "no" });
    },
  );

  it("registers nothing, and changes nothing that is there", async () => {
    expect((await call("GET", PATH)).status).toBe(404);
    await call("PUT", PATH);
    for (const [method, path, request] of REFUSALS) {
      if (path.startsWith(PATH) && method === "POST") await call(method, path, request);
    }
    expect((await call("GET", PATH)).json).toEqual({ id: ID, state: "pending", queueStatus: {} });
  });

  it("keeps to 64 stages, and stores nothing of what goes beyond", async () => {
    const { path } = await made();
    for (const name of many(64)) await post(`${path}/roots`, { stage: name, roots: ["a"] });
    const before = (await call("GET", path)).text;
    const next = [{ stage: "one-more", rootId: "a" }];
    for (const [step, body] of [
      ["roots", { stage: "one-more", roots: ["a"] }],
      ["marks", { stage: "one-more", rootId: "a" }],
      ["marks", { stage: "root-0", rootId: "a", next }],
    ] as const) {
      const { status, json } = await call("POST", `${path}/${step}`, { body });
      expect([status, json.code, json.applied]).toEqual([422, "limit_exceeded", "no"]);
      expect(json.detail).toMatch(/64 stages/);
    }
    expect((await call("GET", path)).text).toBe(before);
    expect(await post(`${path}/marks`, { stage: "root-0", rootId: "a" })).toMatchObject({ verdict: "accepted" });
  });

  it("keeps to 100,000 roots, a thousand in one call", async () => {
    const { path } = await made();
    const names = many(1_000);
    for (let i = 0; i < 100; i++) {
      const batch = names.map((name) => `${i}:${name}`);
      expect(await post(`${path}/roots`, { stage: "s", roots: batch })).toMatchObject({ verdict: "accepted" });
    }
    const { status, json } = await call("POST", `${path}/roots`, { body: { stage: "s", roots: ["one-more"] } });
    expect([status, json.code, json.applied]).toEqual([422, "limit_exceeded", "no"]);
    expect(await post(`${path}/marks`, { stage: "s", rootId: "0:root-0" })).toMatchObject({ verdict: "accepted" });
  });
});

describe("an id in the path", () => {
  it.each([["a/b"], ["{a}{b}"], ["a%2Fb"], ["\0"], ["ü 日本 🎉"], ["?a=b#c"], ["__proto__"], ["..."], [":id"], ["*"]])(
    "comes back exactly as %j",
    async (id) => {
      const path = `/v1/requests/${encodeURIComponent(id)}`;
      await call("PUT", path);
      expect((await call("GET", path)).json).toEqual({ id, state: "pending", queueStatus: {} });
    },
  );

  it("is another one for a group", async () => {
    const id = freshId();
    await call("PUT", `/v1/groups/${id}`, { body: { total: 1 } });
    expect((await call("GET", `/v1/requests/${id}`)).status).toBe(404);
  });
});

describe("a group whose end marks a request's root", () => {
  const target = (id: string, rootId: string) => ({ requestRoot: { requestId: id, stage: "embed", rootId } });

  it("completes the waiting request when its last task is acked", async () => {
    const { id, path } = await made();
    const group = `/v1/groups/${freshId()}`;
    await post(`${path}/roots`, { stage: "embed", roots: ["document"] });
    const body = { tasks: ["a", "b"], onEnd: target(id, "document") };
    expect((await call("PUT", group, { body })).status).toBe(200);
    const waiting = waitOn(path, 20);
    await post(`${group}/acks`, { tasks: ["a", "b"] });
    const { status, json } = await waiting;
    expect([status, json]).toEqual([200, { id, state: "complete", queueStatus: { embed: stage({ processed: 1 }) } }]);
    const { delivery } = (await waitForDelivery(group)) as { delivery: object };
    expect(delivery).toMatchObject({ state: "delivered", attempts: 1 });
  });

  it.each([
    ["failed", { tasks: [{ id: "a", error: "no such page" }] }, /^1 of 1 tasks failed: no such page$/],
    ["was cancelled", { reason: "no longer wanted" }, /^the group was cancelled: no longer wanted$/],
    ["timed out", undefined, /^the group timed out$/],
  ])("tells the request that it %s", async (_, body, message) => {
    const { id, path } = await made();
    const group = `/v1/groups/${freshId()}`;
    await post(`${path}/roots`, { stage: "embed", roots: ["document"] });
    const timeoutSec = body === undefined ? 0.3 : 60;
    await call("PUT", group, { body: { tasks: ["a"], timeoutSec, onEnd: target(id, "document") } });
    if (body !== undefined) await post(`${group}/${"reason" in body ? "cancel" : "acks"}`, body);
    const { json } = await waitOn(path, 20);
    expect(json).toMatchObject({ state: "complete", queueStatus: { embed: { processed: 0, errorCount: 1 } } });
    expect(json.queueStatus.embed?.errors[0]?.message).toMatch(message);
  });

  it("counts once though it is delivered again", async () => {
    const { id, path } = await made();
    const group = `/v1/groups/${freshId()}`;
    await post(`${path}/roots`, { stage: "embed", roots: ["document"] });
    await call("PUT", group, { body: { total: 0, onComplete: target(id, "document") } });
    await waitOn(path, 20);
    const { delivery } = (await waitForDelivery(group)) as { delivery: { attempts: number } };
    expect((await call("POST", `${group}/redeliver`)).status).toBe(200);
    await expect
      .poll(async () => (await call("GET", group)).json.delivery)
      .toMatchObject({
        state: "delivered",
        attempts: delivery.attempts + 1,
      });
    expect((await call("GET", path)).json.queueStatus).toEqual({ embed: stage({ processed: 1 }) });
  });

  it.each<[unknown, RegExp]>([
    [{}, /^onEnd must be/],
    [{ requestRoot: "x" }, /^onEnd\.requestRoot must be an object/],
    [{ requestRoot: {} }, /^onEnd\.requestRoot\.requestId is required/],
    [{ requestRoot: { requestId: "", stage: "s", rootId: "a" } }, /^onEnd\.requestRoot\.requestId/],
    [{ requestRoot: { requestId: "a", stage: "s".repeat(65), rootId: "a" } }, /^onEnd\.requestRoot\.stage/],
    [{ requestRoot: { requestId: "a", stage: "s", rootId: long } }, /^onEnd\.requestRoot\.rootId/],
    [{ requestRoot: { requestId: "a", stage: "s", rootId: "a", processed: 2 } }, /unknown field: processed/],
    [{ ...target("a", "a"), url: "https://hooks.example/" }, /^onEnd must be/],
    [{ ...target("a", "a"), handler: "x" }, /^onEnd must be/],
    [{ ...target("a", "a"), payload: 1 }, /^onEnd must be/],
  ])("%#: is registered with one whole target, or not at all", async (onEnd, detail) => {
    const group = `/v1/groups/${freshId()}`;
    const { status, json } = await call("PUT", group, { body: { total: 1, onEnd } });
    expect([status, json.code]).toEqual([422, "invalid_input"]);
    expect(json.detail).toMatch(detail);
    expect((await call("GET", group)).status).toBe(404);
  });

  async function waitForDelivery(group: string): Promise<unknown> {
    await expect.poll(async () => (await call("GET", group)).json.delivery.state).toBe("delivered");
    return (await call("GET", group)).json;
  }
});
