import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { type Call, type Client, clientOf, freshId, TOKEN } from "./client.js";

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN } });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

async function made(body: object): Promise<string> {
  const path = `/v1/groups/${freshId()}`;
  const { status, text } = await call("PUT", path, { body });
  expect([status, text]).toEqual([200, text]);
  return path;
}

const post = async (path: string, body?: object) => (await call("POST", path, body === undefined ? {} : { body })).json;
const ref = (taskId: string, stage: string | null = null) => ({ taskId, stage });

describe("POST /v1/groups/:id/tasks", () => {
  it("adds tasks to an open group until it is sealed, and says which are new", async () => {
    const path = await made({ tasks: [], open: true });
    const tasks = ["a", 7, { id: "a", stage: "parse" }];
    expect(await post(`${path}/tasks`, { tasks })).toMatchObject({
      outcome: "added",
      added: [ref("a"), ref("7"), ref("a", "parse")],
      status: { state: "open", total: 3, sealed: false },
    });
    expect(await post(`${path}/tasks`, { tasks: ["a", "b"] })).toMatchObject({ outcome: "added", added: [ref("b")] });
    expect(await post(`${path}/seal`)).toMatchObject({ state: "open", sealed: true, remaining: 4 });
    expect(await post(`${path}/seal`)).toMatchObject({ state: "open", sealed: true });
    expect(await post(`${path}/tasks`, { tasks: ["c"] })).toMatchObject({ outcome: "sealed", added: [] });
    await post(`${path}/acks`, { tasks: ["a", 7, { id: "a", stage: "parse" }, "b"] });
    expect(await post(`${path}/tasks`, { tasks: ["c"] })).toMatchObject({
      outcome: "late",
      added: [],
      status: { state: "completed", total: 4 },
    });
  });

  it("is refused by a closed group, and has the outcome unknown for another generation or no group", async () => {
    const path = await made({ tasks: ["a"] });
    expect(await post(`${path}/tasks`, { tasks: ["b"] })).toMatchObject({ status: 409, code: "conflict" });
    const open = await made({ tasks: [], open: true });
    const unknown = { outcome: "unknown", added: [] };
    expect(await post(`${open}/tasks`, { tasks: ["b"], generation: 1 })).toMatchObject(unknown);
    expect(await post(`/v1/groups/${freshId()}/tasks`, { tasks: ["b"] })).toMatchObject({ ...unknown, status: null });
  });

  it("adds the next tasks of an ack in the same step, which keeps a sealed group open", async () => {
    const path = await made({ tasks: ["a"], open: true });
    await post(`${path}/seal`);
    const body = { tasks: ["a"], next: ["b", { id: "c", stage: "embed" }] };
    expect(await post(`${path}/acks`, body)).toMatchObject({
      results: [{ verdict: "accepted" }],
      status: { state: "open", total: 3, remaining: 2 },
    });
    expect(await post(`${path}/acks`, body)).toMatchObject({
      results: [{ verdict: "duplicate" }],
      status: { total: 3 },
    });
  });
});

describe("GET /v1/groups/:id/tasks", () => {
  it("lists tasks in the order of their registration, page by page and by their state", async () => {
    const path = await made({ tasks: ["a", { id: "b", stage: "s" }, "c"] });
    await post(`${path}/acks`, { tasks: ["a", { id: "c", error: "no" }] });
    const { json } = await call("GET", `${path}/tasks`);
    expect(json).toEqual({
      items: [
        { taskId: "a", stage: null, state: "succeeded", error: null },
        { taskId: "c", stage: null, state: "failed", error: "no" },
        { taskId: "b", stage: "s", state: "open", error: null },
      ],
      next: null,
    });
    const open = await call("GET", `${path}/tasks?state=open&limit=3`);
    expect(open.json).toMatchObject({ items: [{ taskId: "b" }], next: null });
    expect((await call("GET", `${path}/tasks?limit=1`)).json).toMatchObject({ items: [{ taskId: "a" }], next: 1 });
  });

  it("is unsupported where tasks are only counted", async () => {
    const path = await made({ total: 3 });
    const { status, json } = await call("GET", `${path}/tasks`);
    expect([status, json.code]).toEqual([501, "unsupported"]);
  });
});

describe("POST /v1/groups/:id/retry", () => {
  it("opens failed tasks again, and no others", async () => {
    const path = await made({ tasks: ["a", "b", "c"] });
    await post(`${path}/acks`, { tasks: [{ id: "a", error: "no" }, "b"] });
    expect(await post(`${path}/retry`, { tasks: ["a", "b", "c", "d"] })).toMatchObject({
      outcome: "retried",
      reopened: [ref("a")],
      status: { remaining: 2, failed: 0 },
    });
    await post(`${path}/acks`, { tasks: ["a", { id: "c", error: "no" }] });
    expect(await post(`${path}/retry`, { tasks: ["c"] })).toMatchObject({ outcome: "late", reopened: [] });
    const none = { outcome: "unknown", reopened: [], status: null };
    expect(await post(`/v1/groups/${freshId()}/retry`, { tasks: ["c"] })).toEqual(none);
  });
});

describe("the clocks of a group", () => {
  it("POST extend moves the deadline later, and never earlier", async () => {
    const path = await made({ tasks: ["a"], timeoutSec: 60 });
    const before = (await call("GET", path)).json as unknown as { deadlineAtMs: number };
    const later = (await post(`${path}/extend`, { timeoutSec: 600 })) as unknown as { deadlineAtMs: number };
    expect(later.deadlineAtMs).toBeGreaterThan(before.deadlineAtMs + 500_000);
    expect(await post(`${path}/extend`, { timeoutSec: 1 })).toMatchObject({ deadlineAtMs: later.deadlineAtMs });
  });

  it("POST heartbeat puts off the idle end, and says whether work is worth doing", async () => {
    const path = await made({ tasks: ["a"], idleTimeoutSec: 2 });
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(await post(`${path}/heartbeat`)).toEqual({ alive: true, state: "open" });
    }
    const { json } = await call("GET", path, { headers: { prefer: "wait=20" } });
    expect(json).toMatchObject({ state: "timed_out", reason: "idle" });
    expect(await post(`${path}/heartbeat`, {})).toEqual({ alive: false, state: "timed_out" });
    const unknown = { alive: true, state: "unregistered" };
    expect(await post(`/v1/groups/${freshId()}/heartbeat`)).toEqual(unknown);
  });
});

describe("DELETE /v1/groups/:id", () => {
  it("hides the group, may be repeated, and the id can be registered again", async () => {
    const path = await made({ tasks: ["a"] });
    for (let i = 0; i < 2; i++) {
      const { status, text } = await call("DELETE", path);
      expect([status, text]).toEqual([204, ""]);
      expect((await call("GET", path)).status).toBe(404);
    }
    expect((await post(`${path}/acks`, { tasks: ["a"] })).results[0]).toMatchObject({ verdict: "unknown" });
    expect((await call("PUT", path, { body: { tasks: ["a"] } })).json).toMatchObject({ state: "open", remaining: 1 });
  });
});

describe("a registration", () => {
  it("ends by its policy", async () => {
    const path = await made({ tasks: ["a", "b", "c"], complete: { minSuccessful: 2 } });
    expect(await post(`${path}/acks`, { tasks: ["a", "b"] })).toMatchObject({
      status: { state: "completed", ok: true, completionReason: "min_successful_reached", remaining: 1 },
    });
    const failing = await made({ tasks: ["a", "b"], complete: { toleratedFailurePercentage: 0 } });
    expect(await post(`${failing}/acks`, { tasks: [{ id: "a", error: "no" }] })).toMatchObject({
      status: { state: "failed", ok: false, completionReason: "failure_tolerance_exceeded" },
    });
  });

  it.each<[object, RegExp]>([
    [{ tasks: ["a"], open: "yes" }, /^open must be true or false/],
    [{ total: 1, open: true }, /open/],
    [{ tasks: ["a"], complete: {} }, /^complete/],
    [{ tasks: ["a"], complete: { minSuccessful: 0 } }, /^complete\.minSuccessful/],
    [{ tasks: ["a"], complete: { minSuccessful: 2 } }, /minSuccessful/],
    [{ tasks: ["a"], complete: { toleratedFailureCount: -1 } }, /^complete\.toleratedFailureCount/],
    [{ tasks: ["a"], complete: { toleratedFailurePercentage: 100.1 } }, /^complete\.toleratedFailurePercentage/],
    [{ tasks: ["a"], complete: { all: true } }, /^complete has an unknown field: all/],
    [{ tasks: ["a"], idleTimeoutSec: 0 }, /^idleTimeoutSec/],
    [{ tasks: ["a"], restart: { from: 1, keep: "failed" } }, /^restart must be/],
    [{ tasks: ["a"], parent: "p" }, /^parent must be an object/],
    [{ tasks: ["a"], parent: { groupId: "p" } }, /^parent\.taskId/],
    [{ tasks: ["a"], parent: { taskId: "t" } }, /^parent must have either groupId or requestId/],
    [{ tasks: ["a"], parent: { groupId: "p", requestId: "p", taskId: "t" } }, /^parent must have either/],
    [{ tasks: ["a"], parent: { groupId: "p", taskId: "t", generation: "1" } }, /^parent\.generation/],
    [{ tasks: ["a"], parent: { groupId: "refused", taskId: "t" } }, /^parent/],
    [{ tasks: ["a"], onEnd: { task: { groupId: "p", taskId: "t", stage: "" } } }, /^onEnd\.task\.stage/],
    [{ tasks: ["a"], onSuccess: { handler: "h", task: { groupId: "p", taskId: "t" } } }, /^onSuccess must be/],
    [{ tasks: ["a"], onFailure: { payload: 1 } }, /^onFailure must be/],
    [{ tasks: [{ id: "a", group: "" }] }, /^tasks\[0\]\.group/],
    [{ tasks: [{ id: "a", group: { groupId: "g" } }] }, /^tasks\[0\]\.group/],
    [{ tasks: [{ id: "a", result: 1 }] }, /^tasks\[0\] has an unknown field: result/],
  ])("is refused by name: %j", async (body, detail) => {
    const { status, json } = await call("PUT", "/v1/groups/refused", { body });
    expect([status, json.code, json.applied]).toEqual([422, "invalid_input", "no"]);
    expect(json.detail).toMatch(detail);
    expect((await call("GET", "/v1/groups/refused")).status).toBe(404);
  });
});

const PATH = "/v1/groups/steps";
const body = (value: unknown): Call => ({ body: value });
const unknown = freshId();

describe("a refusal of a step", () => {
  it.each<[string, string, Call, number, RegExp]>([
    ["POST", "/tasks", {}, 415, /application\/json/],
    ["POST", "/tasks", body({}), 422, /^tasks is required/],
    ["POST", "/tasks", body({ tasks: [] }), 422, /^tasks must hold 1 to 1000/],
    ["POST", "/tasks", body({ tasks: ["a", "a"] }), 422, /^tasks\[1\] repeats an earlier task/],
    ["POST", "/tasks", body({ tasks: [null] }), 422, /^tasks\[0\]/],
    ["POST", "/tasks", body({ tasks: ["a"], more: 1 }), 422, /unknown field: more/],
    ["POST", "/tasks", body({ tasks: ["a"], generation: -1 }), 422, /^generation/],
    ["PUT", "/tasks", {}, 405, /POST, GET, HEAD$/],
    ["GET", "/tasks?state=ended", {}, 422, /^query\.state/],
    ["GET", "/tasks?after=x", {}, 422, /^query\.after/],
    ["GET", "/tasks", {}, 404, /no such group/],
    ["GET", "/results?order=id", {}, 422, /^query\.order/],
    ["POST", "/acks", body({ tasks: ["a"], next: "b" }), 422, /^next must be a list/],
    ["POST", "/acks", body({ tasks: ["a"], next: [""] }), 422, /^next\[0\]\.id/],
    ["POST", "/seal", body({ more: 1 }), 422, /unknown field: more/],
    ["POST", "/seal", body({ generation: "1" }), 422, /^generation/],
    ["POST", "/seal", {}, 404, /no such group/],
    ["GET", "/seal", {}, 405, /POST$/],
    ["POST", "/retry", body({ tasks: [] }), 422, /^tasks must hold 1 to 1000/],
    ["POST", "/retry", body({ tasks: [{ id: "a", error: "x" }] }), 422, /^tasks\[0\] has an unknown field: error/],
    ["GET", "/retry", {}, 405, /POST$/],
    ["POST", "/extend", body({}), 422, /^timeoutSec is required/],
    ["POST", "/extend", body({ timeoutSec: 0 }), 422, /^timeoutSec must be more than 0/],
    ["POST", "/extend", body({ timeoutSec: 5 }), 404, /no such group/],
    ["GET", "/extend", {}, 405, /POST$/],
    ["POST", "/heartbeat", body([]), 422, /must be an object/],
    ["POST", "/heartbeat", body({ generation: 0.5 }), 422, /^generation/],
    ["GET", "/heartbeat", {}, 405, /POST$/],
    ["POST", "/cancel", body({ reason: "x", cascade: 1 }), 422, /^cascade must be true or false/],
    ["POST", "/events", {}, 405, /GET, HEAD$/],
    ["GET", "/events", {}, 404, /no such group/],
  ])("%s %s, %j", async (method, sub, request, status, detail) => {
    const { status: told, json } = await call(method, PATH + sub, request);
    expect([told, json.applied, json.retryable]).toEqual([status, "no", false]);
    expect(json.detail).toMatch(detail);
    expect((await call("GET", PATH)).status).toBe(404);
  });

  it("is for an id that is none", async () => {
    const id = `/v1/groups/${"x".repeat(257)}`;
    for (const [method, sub] of [
      ["GET", "/tasks"],
      ["POST", "/seal"],
      ["POST", "/heartbeat"],
      ["GET", "/events"],
      ["DELETE", ""],
    ] as const) {
      const { status, json } = await call(method, id + sub);
      expect([sub, status, json.code]).toEqual([sub, 422, "invalid_input"]);
    }
    expect((await call("DELETE", `/v1/groups/${unknown}`)).status).toBe(204);
  });
});
