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
  total: 0,
  open: 0,
  processed: 0,
  requeueCount: 0,
  errorCount: 0,
  errors: [],
  ...counts,
});
/** What a status answers. */
const shown = (id: string, more: object = {}): object => ({
  id,
  state: "pending",
  final: false,
  open: 0,
  queueStatus: {},
  reason: null,
  sealed: false,
  generation: expect.any(Number),
  parent: null,
  registeredAtMs: expect.any(Number),
  deadlineAtMs: null,
  endedAtMs: null,
  delivery: { state: "none", deliveryId: null, attempts: 0, lastError: null, nextAttemptAtMs: null },
  ...more,
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
  it("is pending until its tasks are acked, and then complete with what was counted", async () => {
    const { id, path } = await made();
    expect((await call("GET", path)).json).toEqual(shown(id));

    expect(await post(`${path}/tasks`, { stage: "parse", taskIds: ["a", "b"] })).toEqual({
      outcome: "added",
      added: ["a", "b"],
      state: "pending",
    });
    expect(await post(`${path}/acks`, { stage: "parse", taskId: "a", processed: 3 })).toEqual({
      verdict: "accepted",
      state: "pending",
    });
    expect(await post(`${path}/acks`, { stage: "parse", taskId: "b", error: "unreadable" })).toEqual({
      verdict: "accepted",
      state: "complete",
    });
    const answer = await call("GET", path);
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
    const errors = [{ taskId: "b", message: "unreadable" }];
    const queueStatus = { parse: stage({ total: 2, processed: 3, errorCount: 1, errors }) };
    expect(answer.json).toEqual(shown(id, { state: "complete", queueStatus }));
  });

  it("hands a task on in the step that acks it", async () => {
    const { path } = await made();
    await post(`${path}/tasks`, { stage: "parse", taskIds: ["a"] });
    const next = [
      { stage: "embed", taskIds: ["a-1", 2] },
      { stage: "index", taskIds: ["a"] },
    ];
    expect(await post(`${path}/acks`, { stage: "parse", taskId: "a", next })).toMatchObject({ state: "pending" });
    for (const { stage, taskIds } of next) {
      for (const taskId of taskIds) {
        expect(await post(`${path}/acks`, { stage, taskId })).toMatchObject({ verdict: "accepted" });
      }
    }
    expect((await call("GET", path)).json).toMatchObject({
      state: "complete",
      queueStatus: {
        parse: stage({ total: 1, processed: 1 }),
        embed: stage({ total: 2, processed: 2 }),
        index: stage({ total: 1, processed: 1 }),
      },
    });
  });

  it("counts a task once, keeps an ack that comes before its task, and stays as it is once it is sealed", async () => {
    const { id, path } = await made();
    const ack = { stage: "s", taskId: "a" };
    for (let i = 0; i < 2; i++) {
      expect(await post(`${path}/acks`, ack)).toEqual({ verdict: "early", state: "pending" });
    }
    expect(await post(`${path}/acks`, { ...ack, error: "too late to fail" })).toMatchObject({ verdict: "early" });
    const add = { stage: "s", taskIds: ["a"] };
    for (let i = 0; i < 2; i++) {
      expect(await post(`${path}/tasks`, add)).toEqual({ outcome: "added", added: [], state: "complete" });
    }
    const ended = shown(id, {
      state: "complete",
      final: true,
      sealed: true,
      endedAtMs: expect.any(Number),
      queueStatus: { s: stage({ total: 1, processed: 1 }) },
    });
    expect(await post(`${path}/seal`)).toEqual(ended);
    expect(await post(`${path}/seal`)).toEqual(ended);
    const late = { stage: "s", taskIds: ["b"] };
    expect(await post(`${path}/tasks`, late)).toEqual({ outcome: "late", added: [], state: "complete" });
    expect(await post(`${path}/acks`, { stage: "s", taskId: "b" })).toEqual({ verdict: "late", state: "complete" });
    expect((await call("GET", path)).json).toEqual(ended);
  });

  it("takes no tasks once it is sealed, and ends with the last one that is open", async () => {
    const { path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] });
    expect(await post(`${path}/seal`)).toMatchObject({ state: "pending", final: false, open: 1 });
    const more = { stage: "s", taskIds: ["b"] };
    expect(await post(`${path}/tasks`, more)).toEqual({ outcome: "sealed", added: [], state: "pending" });
    const next = [{ stage: "t", taskIds: ["c"] }];
    expect(await post(`${path}/acks`, { stage: "s", taskId: "a", next })).toMatchObject({ state: "pending" });
    await post(`${path}/acks`, { stage: "t", taskId: "c" });
    expect((await call("GET", path)).json).toMatchObject({ state: "complete", final: true });
  });

  it("counts what settles no task", async () => {
    const { id, path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] });
    for (const counts of [{ processed: 3 }, { requeued: 2, error: "slow" }]) {
      expect(await post(`${path}/counts`, { stage: "s", ...counts })).toEqual({
        verdict: "accepted",
        state: "pending",
      });
    }
    const errors = [{ taskId: null, message: "slow" }];
    const counted = stage({ total: 1, open: 1, processed: 3, requeueCount: 2, errorCount: 1, errors });
    expect((await call("GET", path)).json).toEqual(shown(id, { open: 1, queueStatus: { s: counted } }));
  });

  it("lists its tasks, page by page and by their state", async () => {
    const { path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a", "b", "c"] });
    await post(`${path}/acks`, { stage: "s", taskId: "a" });
    await post(`${path}/acks`, { stage: "s", taskId: "b", error: "no" });
    const [a, b, c] = [
      { taskId: "a", stage: "s", state: "succeeded", error: null },
      { taskId: "b", stage: "s", state: "failed", error: "no" },
      { taskId: "c", stage: "s", state: "open", error: null },
    ];
    expect((await call("GET", `${path}/tasks`)).json).toEqual({ items: [a, b, c], next: null });
    expect((await call("GET", `${path}/tasks?limit=2`)).json).toEqual({ items: [a, b], next: 2 });
    expect((await call("GET", `${path}/tasks?after=2`)).json).toEqual({ items: [c], next: null });
    expect((await call("GET", `${path}/tasks?state=failed`)).json).toEqual({ items: [b], next: null });
  });

  it("is cancelled with a reason, and stays cancelled", async () => {
    const { id, path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] });
    const queueStatus = { s: stage({ total: 1, open: 1 }) };
    const endedAtMs = expect.any(Number);
    const end = { state: "cancelled", final: true, endedAtMs, reason: "no longer wanted" };
    const ended = shown(id, { ...end, open: 1, queueStatus });
    expect(await post(`${path}/cancel`, { reason: "no longer wanted" })).toEqual(ended);
    expect(await post(`${path}/cancel`, { reason: "another" })).toEqual(ended);
    expect(await post(`${path}/acks`, { stage: "s", taskId: "a" })).toEqual({
      verdict: "cancelled",
      state: "cancelled",
    });
    expect((await call("GET", path)).json).toEqual(ended);
  });

  it("ends at its deadline, and shows the metadata to no reader of its status", async () => {
    const { id, path } = await made({ timeoutSec: 3, metadata: { secret: "Canary7f3a91" } });
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] });
    const { json, text } = await waitOn(path, 20);
    expect(json).toMatchObject({ id, state: "timed_out", final: true, open: 1, reason: "deadline" });
    expect(text).not.toContain("Canary7f3a91");
  });

  it("is complete when it is sealed without a task", async () => {
    const { id, path } = await made();
    const ended = shown(id, { state: "complete", final: true, sealed: true, endedAtMs: expect.any(Number) });
    expect(await post(`${path}/seal`)).toEqual(ended);
    expect((await call("GET", path)).json).toEqual(ended);
  });

  it("is the same request when its registration is repeated", async () => {
    const id = freshId();
    const path = `/v1/requests/${id}`;
    const first = await call("PUT", path);
    expect([first.status, first.json]).toEqual([200, shown(id)]);
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] });
    await post(`${path}/acks`, { stage: "s", taskId: "a" });
    const again = await call("PUT", path, { body: { ttlSec: 5 } });
    const queueStatus = { s: stage({ total: 1, processed: 1 }) };
    expect([again.status, again.json]).toEqual([200, shown(id, { state: "complete", queueStatus })]);
    expect((await call("GET", path)).json.queueStatus).toEqual(queueStatus);
  });

  it("is another registration where it names another target: a conflict", async () => {
    const { path } = await made();
    const onEnd = { task: { groupId: "parent", taskId: "a" } };
    const { status, json } = await call("PUT", path, { body: { onEnd } });
    expect([status, json.code]).toEqual([409, "conflict"]);
  });

  it("keeps an ack that comes before its registration", async () => {
    const path = `/v1/requests/${freshId()}`;
    const early = { verdict: "early", state: "unknown" };
    expect(await post(`${path}/acks`, { stage: "s", taskId: "a" })).toEqual(early);
    expect((await call("GET", path)).status).toBe(404);
    await call("PUT", path);
    const add = { stage: "s", taskIds: ["a", "b"] };
    expect(await post(`${path}/tasks`, add)).toEqual({ outcome: "added", added: ["b"], state: "pending" });
  });

  it("lists the results of its acks", async () => {
    const { path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a", "b"] });
    await post(`${path}/acks`, { stage: "s", taskId: "b", result: { pages: 3 } });
    await post(`${path}/acks`, { stage: "s", taskId: "a", result: null });
    const [b, a] = [
      { taskId: "b", stage: "s", result: { pages: 3 } },
      { taskId: "a", stage: "s", result: null },
    ];
    expect((await call("GET", `${path}/results`)).json).toEqual({ items: [b, a], next: null });
    expect((await call("GET", `${path}/results?order=registration&limit=1`)).json).toMatchObject({ items: [a] });
  });

  it("opens its failed tasks again, each once, and none after its end", async () => {
    const { path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a", "b", 3] });
    for (const taskId of ["a", 3]) await post(`${path}/acks`, { stage: "s", taskId, error: "no" });
    await post(`${path}/acks`, { stage: "s", taskId: "b" });
    const all = { stage: "s", taskIds: ["a", "b", 3, "c"] };
    expect(await post(`${path}/retry`, { ...all, stage: "t" })).toEqual({ outcome: "retried", reopened: [] });
    expect(await post(`${path}/retry`, all)).toEqual({ outcome: "retried", reopened: ["a", "3"] });
    expect(await post(`${path}/retry`, all)).toEqual({ outcome: "retried", reopened: [] });
    expect((await call("GET", path)).json).toMatchObject({ state: "pending", open: 2 });
    await post(`${path}/cancel`, { reason: "x" });
    expect(await post(`${path}/retry`, all)).toEqual({ outcome: "late", reopened: [] });
  });

  it("has its deadline moved to later, if the generation is the named one", async () => {
    const { id, path } = await made({ timeoutSec: 60 });
    const { generation, registeredAtMs, deadlineAtMs } = (await call("GET", path)).json;
    expect(deadlineAtMs).toBe(registeredAtMs + 60_000);
    for (const body of [{ timeoutSec: 600, generation: generation + 1 }, { timeoutSec: 1 }]) {
      expect(await post(`${path}/extend`, body)).toEqual(shown(id, { deadlineAtMs }));
    }
    const later = (await post(`${path}/extend`, { timeoutSec: 600, generation })) as { readonly deadlineAtMs: number };
    expect(later).toEqual(shown(id, { generation, deadlineAtMs: expect.any(Number) }));
    expect(later.deadlineAtMs - deadlineAtMs).toBeGreaterThanOrEqual(540_000);
    expect((await call("GET", path)).json.deadlineAtMs).toBe(later.deadlineAtMs);
  });

  it("shows its parent and its delivery, which is made again on demand", async () => {
    const group = freshId();
    const { generation: of } = (await call("PUT", `/v1/groups/${group}`, { body: { tasks: ["t"] } })).json;
    const { id, path } = await made({ parent: { groupId: group, taskId: "t", generation: of } });
    const parent = { groupId: group, requestId: null, stage: null, taskId: "t", generation: of };
    const { generation } = (await call("GET", path)).json;
    expect(await post(`${path}/redeliver`)).toEqual(shown(id, { parent, generation }));
    await post(`${path}/seal`);
    const delivered = (attempts: number) => ({ state: "delivered", deliveryId: expect.any(String), attempts });
    const delivery = async () => (await call("GET", path)).json.delivery;
    await expect.poll(delivery).toMatchObject(delivered(1));
    expect(await post(`${path}/redeliver`, { generation: generation + 1 })).toMatchObject({ delivery: delivered(1) });
    expect(await post(`${path}/redeliver`, { generation })).toMatchObject({ parent, generation, final: true });
    await expect.poll(delivery).toMatchObject(delivered(2));
    const { text } = await call("GET", `${path}/events`);
    expect(JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "")).toEqual((await call("GET", path)).json);
    expect((await call("GET", `/v1/groups/${group}`)).json).toMatchObject({ state: "completed", succeeded: 1 });
  });

  it("is gone after DELETE, which may be repeated, and nothing brings it back", async () => {
    const { id, path } = await made();
    await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] });
    for (let i = 0; i < 2; i++) {
      const { status, text } = await call("DELETE", path);
      expect([status, text]).toEqual([204, ""]);
      expect(await post(`${path}/acks`, { stage: "s", taskId: "a" })).toEqual(UNKNOWN);
      expect((await call("GET", path)).status).toBe(404);
    }
    expect((await call("PUT", path)).json).toEqual(shown(id));
  });

  it("that is not registered: a call has the outcome unknown, and any other call is 404", async () => {
    const path = `/v1/requests/${freshId()}`;
    const counts = { stage: "s", processed: 1 };
    expect(await post(`${path}/tasks`, { stage: "s", taskIds: ["a"] })).toEqual({
      outcome: "unknown",
      added: [],
      state: "unknown",
    });
    expect(await post(`${path}/counts`, counts)).toEqual(UNKNOWN);
    expect(await post(`${path}/retry`, { stage: "s", taskIds: ["a"] })).toEqual({ outcome: "unknown", reopened: [] });
    expect((await call("DELETE", path)).status).toBe(204);
    for (const [method, sub, body] of [
      ["GET", "", undefined],
      ["GET", "/tasks", undefined],
      ["GET", "/results", undefined],
      ["GET", "/events", undefined],
      ["POST", "/seal", undefined],
      ["POST", "/cancel", { reason: "" }],
      ["POST", "/extend", { timeoutSec: 60 }],
      ["POST", "/redeliver", undefined],
    ] as const) {
      const { status, json } = await call(method, path + sub, body === undefined ? {} : { body });
      expect([sub, status, json.code, json.retryable]).toEqual([sub, 404, "not_found", false]);
      expect(json.detail).toMatch(/no such (group or )?request/);
    }
  });

  it("ends when no call has come for as long as ttlSec says, and is gone after the same time again", async () => {
    const short = await made({ ttlSec: 1 });
    const long = await made({ ttlSec: 60 });
    const usual = await made();
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const read = async () => Promise.all([short, long, usual].map(async ({ path }) => call("GET", path)));
    const states = (await read()).map(({ json }) => [json.state, json.reason]);
    expect(states).toEqual([
      ["timed_out", "silent"],
      ["pending", null],
      ["pending", null],
    ]);
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect((await read()).map(({ status }) => status)).toEqual([404, 200, 200]);
  });

  it("keeps a stage of any name, and the first bytes of each error that was said there", async () => {
    const { path } = await made();
    const names = ["__proto__", "ü 日本", "a.b", "x".repeat(64), "7"];
    for (const name of names) {
      const task = { stage: name, taskId: "__proto__" };
      await post(`${path}/tasks`, { stage: name, taskIds: ["__proto__"] });
      expect(await post(`${path}/acks`, { ...task, error: "日".repeat(1_000) })).toMatchObject({ verdict: "accepted" });
    }
    const { json } = await call("GET", path);
    expect(json.state).toBe("complete");
    expect(Object.keys(json.queueStatus).sort()).toEqual([...names].sort());
    for (const name of names) {
      const found = Object.getOwnPropertyDescriptor(json.queueStatus, name)?.value as StageBody;
      const errors = [{ taskId: "__proto__", message: "日".repeat(85) }];
      expect(found).toEqual(stage({ total: 1, errorCount: 1, errors }));
    }
    const page = JSON.parse((await call("GET", `${path}/tasks`)).text) as { items: { error: string }[] };
    for (const { error } of page.items) expect(error).toBe("日".repeat(341));
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
    const id = freshId();
    const { status, json } = await call("PUT", `/v1/requests/${id}`, request());
    expect([status, json]).toEqual([200, shown(id)]);
  });
});

const ID = "refused";
const PATH = `/v1/requests/${ID}`;
const long = "x".repeat(257);
const many = (n: number) => Array.from({ length: n }, (_, i) => `task-${i}`);
const tasks = (body: unknown): [string, string, Call] => ["POST", `${PATH}/tasks`, { body }];
const ack = (body: unknown): [string, string, Call] => ["POST", `${PATH}/acks`, { body }];
const count = (body: unknown): [string, string, Call] => ["POST", `${PATH}/counts`, { body }];
const retry = (body: unknown): [string, string, Call] => ["POST", `${PATH}/retry`, { body }];
const task = { stage: "s", taskId: "a" };
const nextOf = (stage: string, taskIds: unknown = ["a"]) => ({ stage, taskIds });

/** What is sent, the status, the code, and what the detail must name. */
const REFUSALS: readonly (readonly [...[string, string, Call], number, string, RegExp])[] = [
  ["GET", "/v1/request", {}, 404, "not_found", /nothing under/],
  ["PUT", "/v1/requests", {}, 405, "method_not_allowed", /takes GET/],
  ["GET", "/v1/requests/", {}, 404, "not_found", /nothing under/],
  ["POST", `${PATH}/roots`, {}, 404, "not_found", /nothing under/],
  ["POST", `${PATH}/marks`, {}, 404, "not_found", /nothing under/],
  ["POST", PATH, {}, 405, "method_not_allowed", /PUT, GET, HEAD, DELETE$/],
  ["PUT", `${PATH}/tasks`, {}, 405, "method_not_allowed", /POST, GET, HEAD$/],
  ["GET", `${PATH}/acks`, {}, 405, "method_not_allowed", /POST$/],
  ["GET", `${PATH}/counts`, {}, 405, "method_not_allowed", /POST$/],
  ["GET", `${PATH}/seal`, {}, 405, "method_not_allowed", /POST$/],
  ["DELETE", `${PATH}/cancel`, {}, 405, "method_not_allowed", /POST$/],
  ["GET", `${PATH}/retry`, {}, 405, "method_not_allowed", /POST$/],
  ["GET", `${PATH}/extend`, {}, 405, "method_not_allowed", /POST$/],
  ["GET", `${PATH}/redeliver`, {}, 405, "method_not_allowed", /POST$/],
  ["POST", `${PATH}/events`, {}, 405, "method_not_allowed", /GET, HEAD$/],
  ["PUT", "/v1/requests/a%", {}, 400, "malformed", /percent/],
  ["PUT", `/v1/requests/${long}`, {}, 422, "invalid_input", /the request's id/],
  ["GET", `/v1/requests/${long}`, {}, 422, "invalid_input", /the request's id/],
  ["GET", `/v1/requests/${long}/events`, {}, 422, "invalid_input", /the request's id/],
  ["DELETE", `/v1/requests/${long}`, {}, 422, "invalid_input", /the request's id/],
  ["POST", `/v1/requests/${long}/seal`, {}, 422, "invalid_input", /the request's id/],
  ["PUT", PATH, { body: "{}", headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type", /json/],
  ["PUT", PATH, { body: "{}", headers: { "content-encoding": "gzip" } }, 415, "unsupported_media_type", /json/],
  ["PUT", PATH, { body: "{" }, 400, "malformed", /not JSON/],
  ["PUT", PATH, { body: " " }, 400, "malformed", /not JSON/],
  ["PUT", PATH, { body: "null" }, 422, "invalid_input", /must be an object/],
  ["PUT", PATH, { body: { ttl: 5 } }, 422, "invalid_input", /unknown field: ttl$/],
  ["PUT", PATH, { body: { caller: "x" } }, 422, "invalid_input", /unknown field: caller$/],
  ["PUT", PATH, { body: { complete: { minSuccessful: 1 } } }, 422, "invalid_input", /unknown field: complete$/],
  ["PUT", PATH, { body: { onFailure: { handler: "x" } } }, 422, "invalid_input", /unknown field: onFailure$/],
  ["PUT", PATH, { body: { ttlSec: 0.9 } }, 422, "invalid_input", /^ttlSec must be 1 to/],
  ["PUT", PATH, { body: { ttlSec: 1e9 } }, 422, "invalid_input", /^ttlSec/],
  ["PUT", PATH, { body: { ttlSec: "60" } }, 422, "invalid_input", /^ttlSec must be a number/],
  ["PUT", PATH, { body: { timeoutSec: -1 } }, 422, "invalid_input", /^timeoutSec must be 0 to/],
  ["PUT", PATH, { body: { metadata: "x".repeat(16_384) } }, 422, "invalid_input", /metadata/],
  ["PUT", PATH, { body: { parent: {} } }, 422, "invalid_input", /^parent/],
  ["PUT", PATH, { body: { parent: { requestId: ID, taskId: "a" } } }, 422, "invalid_input", /parent/],
  ["PUT", PATH, { body: { onEnd: { url: "https://hooks.example/" } } }, 501, "unsupported", /webhook/i],
  ["PUT", PATH, { body: `"${"x".repeat(MAX_BODY_BYTES)}"` }, 413, "too_large", /262144 bytes/],
  ["POST", `${PATH}/tasks`, {}, 415, "unsupported_media_type", /json/],
  [...tasks([]), 422, "invalid_input", /must be an object/],
  [...tasks({ taskIds: ["a"] }), 422, "invalid_input", /^stage is required/],
  [...tasks({ stage: "", taskIds: ["a"] }), 422, "invalid_input", /^stage must be 1 to 64 bytes/],
  [...tasks({ stage: "日".repeat(22), taskIds: ["a"] }), 422, "invalid_input", /^stage must be 1 to 64 bytes/],
  [...tasks({ stage: "s" }), 422, "invalid_input", /^taskIds is required/],
  [...tasks({ stage: "s", taskIds: "a" }), 422, "invalid_input", /^taskIds must be a list/],
  [...tasks({ stage: "s", taskIds: [] }), 422, "invalid_input", /^taskIds must hold 1 to 1000/],
  [...tasks({ stage: "s", taskIds: many(1_001) }), 422, "invalid_input", /^taskIds must hold 1 to 1000/],
  [...tasks({ stage: "s", taskIds: ["a", ""] }), 422, "invalid_input", /^taskIds\[1\] must be 1 to 256/],
  [...tasks({ stage: "s", taskIds: [task] }), 422, "invalid_input", /^taskIds\[0\] must be 1 to 256/],
  [...tasks({ stage: "s", taskIds: ["a"], taskId: "a" }), 422, "invalid_input", /unknown field: taskId/],
  [...tasks({ stage: "s", taskIds: Array(1_000).fill("x".repeat(300)) }), 413, "too_large", /262144 bytes/],
  ["GET", `${PATH}/tasks?state=done`, {}, 422, "invalid_input", /^query\.state/],
  ["GET", `${PATH}/tasks?limit=0`, {}, 422, "invalid_input", /^query\.limit/],
  [...ack({ taskId: "a" }), 422, "invalid_input", /^stage is required/],
  [...ack({ stage: "s" }), 422, "invalid_input", /^taskId/],
  [...ack({ ...task, stage: "s".repeat(65) }), 422, "invalid_input", /^stage must be 1 to 64/],
  [...ack({ ...task, taskId: long }), 422, "invalid_input", /^taskId must be 1 to 256/],
  [...ack({ ...task, taskId: "\ud800" }), 422, "invalid_input", /^taskId/],
  [...ack({ ...task, processed: -1 }), 422, "invalid_input", /^processed must be a whole number from 0/],
  [...ack({ ...task, processed: 1.5 }), 422, "invalid_input", /^processed/],
  [...ack({ ...task, processed: 1_000_000_001 }), 422, "invalid_input", /^processed/],
  [...ack({ ...task, result: "x".repeat(16_384) }), 422, "invalid_input", /result/],
  [...ack({ ...task, error: 5 }), 422, "invalid_input", /^error must be a string/],
  [...ack({ ...task, error: "x", processed: 0 }), 422, "invalid_input", /must not have an error together with/],
  [...ack({ ...task, error: "x", result: 0 }), 422, "invalid_input", /must not have an error together with/],
  [...ack({ ...task, error: "x", next: [] }), 422, "invalid_input", /must not have an error together with/],
  [...ack({ ...task, next: [{ stage: "s" }] }), 422, "invalid_input", /^next\[0\]\.taskIds is required/],
  [...ack({ ...task, next: [nextOf("")] }), 422, "invalid_input", /^next\[0\]\.stage/],
  [...ack({ ...task, next: [nextOf("s", [])] }), 422, "invalid_input", /^next\[0\]\.taskIds must hold 1 to 1000/],
  [...ack({ ...task, next: [{ ...nextOf("s"), processed: 1 }] }), 422, "invalid_input", /unknown field: processed/],
  [...ack({ ...task, next: Array(65).fill(nextOf("s")) }), 422, "invalid_input", /^next must hold 0 to 64/],
  [...ack({ ...task, next: [nextOf("s", ["a", "b", "a"])] }), 422, "invalid_input", /repeats an earlier task/],
  [
    ...ack({ ...task, next: many(64).map((name) => nextOf(name)) }),
    422,
    "invalid_input",
    /^next must name at most 64 stages/,
  ],
  [...ack({ acks: [task] }), 422, "invalid_input", /is required|unknown field/],
  [...count({ processed: 1 }), 422, "invalid_input", /^stage is required/],
  [...count({ stage: "s" }), 422, "invalid_input", /must have processed, requeued or error/],
  [...count({ stage: "s", requeued: -1 }), 422, "invalid_input", /^requeued/],
  [...count({ stage: "s", error: 1 }), 422, "invalid_input", /^error must be a string/],
  ...[{ taskIds: ["a"] }, { stage: "s".repeat(65), taskIds: ["a"] }].map(
    (body) => [...retry(body), 422, "invalid_input", /^stage (is required|must be 1 to 64 bytes)/] as const,
  ),
  [...retry({ stage: "s" }), 422, "invalid_input", /^taskIds is required/],
  [...retry({ stage: "s", taskIds: [] }), 422, "invalid_input", /^taskIds must hold 1 to 1000/],
  [...retry({ stage: "s", taskIds: [-1] }), 422, "invalid_input", /^taskIds\[0\] must be a whole number/],
  [...retry({ stage: "s", tasks: ["a"] }), 422, "invalid_input", /^taskIds is required/],
  ["POST", `${PATH}/extend`, {}, 415, "unsupported_media_type", /json/],
  ["POST", `${PATH}/extend`, { body: {} }, 422, "invalid_input", /^timeoutSec is required/],
  ["POST", `${PATH}/extend`, { body: { timeoutSec: 0 } }, 422, "invalid_input", /^timeoutSec must be more than 0/],
  ["POST", `${PATH}/redeliver`, { body: { pauseMs: 0 } }, 422, "invalid_input", /unknown field: pauseMs$/],
  ["POST", `${PATH}/redeliver`, { body: { generation: -1 } }, 422, "invalid_input", /^generation/],
  ["POST", `${PATH}/cancel`, { body: {} }, 422, "invalid_input", /^reason is required/],
  ["POST", `${PATH}/cancel`, { body: { reason: "x", cascade: false } }, 422, "invalid_input", /unknown field: cascade/],
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
    expect((await call("GET", PATH)).json).toEqual(shown(ID));
  });

  it("keeps to 64 stages, and stores nothing of what goes beyond", async () => {
    const { path } = await made();
    for (const name of many(64)) await post(`${path}/tasks`, { stage: name, taskIds: ["a"] });
    const before = (await call("GET", path)).text;
    const next = [nextOf("one-more")];
    for (const [step, body] of [
      ["tasks", nextOf("one-more")],
      ["counts", { stage: "one-more", processed: 1 }],
      ["acks", { stage: "task-0", taskId: "a", next }],
    ] as const) {
      const { status, json } = await call("POST", `${path}/${step}`, { body });
      expect([status, json.code, json.applied]).toEqual([422, "limit_exceeded", "no"]);
      expect(json.detail).toMatch(/64 stages/);
    }
    // An early ack is kept: the announcement of its task finds no room.
    const early = { stage: "one-more", taskId: "a" };
    expect(await post(`${path}/acks`, early)).toMatchObject({ verdict: "early" });
    expect((await call("GET", path)).text).toBe(before);
    expect(await post(`${path}/acks`, { stage: "task-0", taskId: "a" })).toMatchObject({ verdict: "accepted" });
  });

  it("keeps to 100,000 tasks, a thousand in one call", async () => {
    const { path } = await made();
    const names = many(1_000);
    for (let i = 0; i < 100; i++) {
      const batch = names.map((name) => `${i}:${name}`);
      expect(await post(`${path}/tasks`, { stage: "s", taskIds: batch })).toMatchObject({ outcome: "added" });
    }
    const { status, json } = await call("POST", `${path}/tasks`, { body: { stage: "s", taskIds: ["one-more"] } });
    expect([status, json.code, json.applied]).toEqual([422, "limit_exceeded", "no"]);
    expect(await post(`${path}/acks`, { stage: "s", taskId: "0:task-0" })).toMatchObject({ verdict: "accepted" });
  });
});

describe("an id in the path", () => {
  it.each([["a/b"], ["{a}{b}"], ["a%2Fb"], ["\0"], ["ü 日本 🎉"], ["?a=b#c"], ["__proto__"], ["..."], [":id"], ["*"]])(
    "comes back exactly as %j",
    async (id) => {
      const path = `/v1/requests/${encodeURIComponent(id)}`;
      await call("PUT", path);
      expect((await call("GET", path)).json).toEqual(shown(id));
    },
  );

  it("is another one for a group", async () => {
    const id = freshId();
    await call("PUT", `/v1/groups/${id}`, { body: { total: 1 } });
    expect((await call("GET", `/v1/requests/${id}`)).status).toBe(404);
  });
});

describe("a group whose end acks a request's task", () => {
  const target = (id: string, taskId: string) => ({ task: { requestId: id, stage: "embed", taskId } });
  const embedded = { embed: stage({ total: 1, processed: 1 }) };

  it("completes the waiting request when its last task is acked", async () => {
    const { id, path } = await made();
    const group = `/v1/groups/${freshId()}`;
    await post(`${path}/tasks`, { stage: "embed", taskIds: ["document"] });
    const body = { tasks: ["a", "b"], onEnd: target(id, "document") };
    expect((await call("PUT", group, { body })).status).toBe(200);
    const waiting = waitOn(path, 20);
    await post(`${group}/acks`, { tasks: ["a", "b"] });
    const { status, json } = await waiting;
    expect([status, json]).toEqual([200, shown(id, { state: "complete", queueStatus: embedded })]);
    const { delivery } = (await waitForDelivery(group)) as { delivery: object };
    expect(delivery).toMatchObject({ state: "delivered", attempts: 1 });
  });

  it.each([
    [
      "failed",
      { tasks: [{ id: "a", error: "no such page" }] },
      /^id-\d+ completed: 1 of 1 tasks failed: no such page$/,
    ],
    ["was cancelled", { reason: "no longer wanted" }, /^id-\d+ cancelled: no longer wanted$/],
    ["timed out", undefined, /^id-\d+ timed_out: deadline$/],
  ])("tells the request that it %s", async (_, body, message) => {
    const { id, path } = await made();
    const group = `/v1/groups/${freshId()}`;
    await post(`${path}/tasks`, { stage: "embed", taskIds: ["document"] });
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
    await post(`${path}/tasks`, { stage: "embed", taskIds: ["document"] });
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
    expect((await call("GET", path)).json.queueStatus).toEqual(embedded);
  });

  it.each<[unknown, RegExp]>([
    [{}, /^onEnd must be/],
    [{ task: "x" }, /^onEnd\.task must be an object/],
    [{ task: { taskId: "a" } }, /^onEnd\.task must have either groupId or requestId/],
    [{ task: { requestId: "a", groupId: "a", taskId: "a" } }, /^onEnd\.task must have either groupId or requestId/],
    [{ task: { requestId: "", stage: "s", taskId: "a" } }, /^onEnd\.task\.requestId/],
    [{ task: { requestId: "a", stage: "s".repeat(65), taskId: "a" } }, /^onEnd\.task\.stage/],
    [{ task: { requestId: "a", stage: "s", taskId: long } }, /^onEnd\.task\.taskId/],
    [{ task: { groupId: "a", taskId: "a", generation: -1 } }, /^onEnd\.task\.generation/],
    [{ task: { requestId: "a", stage: "s", taskId: "a", processed: 2 } }, /unknown field: processed/],
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
