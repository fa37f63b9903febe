import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { MAX_BODY_BYTES } from "../../worker/body.js";
import { type Call, type Client, clientOf, freshId, TOKEN } from "./client.js";

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      WEBHOOK_SECRET: `whsec_${btoa("x".repeat(32))}`,
      WEBHOOK_ALLOWED_HOSTS: "hooks.example",
    },
  });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

const ID = "errors";
const GROUP = `/v1/groups/${ID}`;
const ack = { op: "op-1", tasks: [{ id: "a" }], earlyTtlMs: 1_000 };
const fingerprint = "0".repeat(64);
const lists: string[] = [];
const registration = { op: "op-1", fingerprint, kind: "counted", total: 2, lists, timeoutMs: 0, ttlMs: 1_000 };
const named = { ...registration, kind: "named", total: 0 };
const target = { route: "handler:x", body: "null" };
const long = "x".repeat(257);
/** A text that takes three bytes of UTF-8 a character, so that a count of characters would let it through. */
const wide = "日".repeat(86);

/** What is sent, the status, the code, and what the detail must name. */
const REFUSALS: readonly (readonly [string, string, Call, number, string, RegExp])[] = [
  // ---- HTTP ----
  ["GET", "/unknown", {}, 404, "not_found", /nothing under/],
  ["GET", "/v1", {}, 404, "not_found", /nothing under/],
  ["GET", "/v1/groups/", {}, 404, "not_found", /nothing under/],
  ["GET", `${GROUP}/`, {}, 404, "not_found", /nothing under/],
  ["GET", `${GROUP}/unknown`, {}, 404, "not_found", /nothing under/],
  ["GET", GROUP, {}, 404, "not_found", /no such group/],
  ["GET", `${GROUP}/results`, {}, 404, "not_found", /no such group/],
  ["POST", `${GROUP}/cancel`, { body: { reason: "" } }, 404, "not_found", /no such group/],
  ["POST", `${GROUP}/redeliver`, {}, 404, "not_found", /no such group/],
  ["POST", `${GROUP}/decrement`, { body: {} }, 404, "not_found", /no such group/],
  ["POST", GROUP, {}, 405, "method_not_allowed", /PUT, GET, HEAD, DELETE$/],
  ["GET", `${GROUP}/acks`, {}, 405, "method_not_allowed", /POST/],
  ["GET", "/v1/run/completion/ack", {}, 405, "method_not_allowed", /POST/],
  ["GET", "/v1/batch", {}, 405, "method_not_allowed", /POST/],
  ["POST", "/v1/batch", {}, 415, "unsupported_media_type", /application\/json/],
  ["POST", "/v1/batch", { body: {} }, 422, "invalid_input", /^operations is required/],
  ["POST", "/v1/batch", { body: { operations: {} } }, 422, "invalid_input", /^operations must be a list/],
  ["POST", "/v1/batch", { body: { operations: [] } }, 422, "invalid_input", /^operations must hold 1 to 100/],
  ["POST", "/v1/batch", { body: { operations: Array(101).fill({}) } }, 422, "invalid_input", /^operations must hold/],
  ["POST", "/v1/batch", { body: { operations: [{}], more: 1 } }, 422, "invalid_input", /unknown field: more/],
  ["POST", "/health", {}, 405, "method_not_allowed", /GET/],
  ["POST", "/metrics", {}, 405, "method_not_allowed", /GET/],
  ["GET", "/metrics", { token: null }, 401, "unauthorized", /token/],
  ["PUT", GROUP, {}, 415, "unsupported_media_type", /application\/json/],
  ["PUT", GROUP, { body: "{}", headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type", /json/],
  [
    "PUT",
    GROUP,
    { body: "{}", headers: { "content-type": "application/jsonp" } },
    415,
    "unsupported_media_type",
    /json/,
  ],
  [
    "PUT",
    GROUP,
    { body: "{}", headers: { "content-encoding": "gzip" } },
    415,
    "unsupported_media_type",
    /uncompressed/,
  ],
  ["PUT", GROUP, { body: "" }, 400, "malformed", /not JSON/],
  ["PUT", GROUP, { body: "{" }, 400, "malformed", /not JSON/],
  ["PUT", GROUP, { body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, "malformed", /UTF-8/],
  ["PUT", GROUP, { body: "[".repeat(65) + "]".repeat(65) }, 400, "malformed", /64 levels/],
  ["PUT", "/v1/groups/%E0%A4", { body: { total: 1 } }, 400, "malformed", /percent/],
  ["PUT", "/v1/groups/%ED%A0%80", { body: { total: 1 } }, 400, "malformed", /percent/],
  ["PUT", "/v1/groups/a%", { body: { total: 1 } }, 400, "malformed", /percent/],
  ["PUT", `/v1/groups/${long}`, { body: { total: 1 } }, 422, "invalid_input", /the group's id/],
  ["PUT", `/v1/groups/${encodeURIComponent(wide)}`, { body: { total: 1 } }, 422, "invalid_input", /256 bytes/],
  ["PUT", GROUP, { body: `"${"x".repeat(MAX_BODY_BYTES)}"` }, 413, "too_large", /262144 bytes/],
  ["PUT", GROUP, { body: streamOf(MAX_BODY_BYTES + 1) }, 413, "too_large", /262144 bytes/],
  // ---- A registration ----
  ["PUT", GROUP, { body: [] }, 422, "invalid_input", /the body must be an object/],
  ["PUT", GROUP, { body: {} }, 422, "invalid_input", /total or tasks/],
  ["PUT", GROUP, { body: { total: 1, tasks: ["a"] } }, 422, "invalid_input", /total or tasks/],
  ["PUT", GROUP, { body: { total: 1, timeout: 3 } }, 422, "invalid_input", /unknown field: timeout$/],
  ["PUT", GROUP, { body: '{"total":1,"__proto__":{}}' }, 422, "invalid_input", /unknown field/],
  ["PUT", GROUP, { body: { total: -1 } }, 422, "invalid_input", /^total must be a whole number from 0/],
  ["PUT", GROUP, { body: { total: 1.5 } }, 422, "invalid_input", /^total/],
  ["PUT", GROUP, { body: { total: "1" } }, 422, "invalid_input", /^total must be a number/],
  ["PUT", GROUP, { body: '{"total":1e999}' }, 422, "invalid_input", /^total/],
  ["PUT", GROUP, { body: { tasks: ["a", "b", "a"] } }, 422, "invalid_input", /^tasks\[2\] repeats an earlier task$/],
  ["PUT", GROUP, { body: { tasks: ["a", ""] } }, 422, "invalid_input", /^tasks\[1\]\.id must be 1 to 256/],
  ["PUT", GROUP, { body: { tasks: ["a", true] } }, 422, "invalid_input", /^tasks\[1\]\.id must be 1 to 256/],
  ["PUT", GROUP, { body: { tasks: ["\ud800"] } }, 422, "invalid_input", /^tasks\[0\]/],
  ["PUT", GROUP, { body: { total: 1, indexed: "yes" } }, 422, "invalid_input", /^indexed/],
  ["PUT", GROUP, { body: { tasks: ["a"], indexed: true } }, 422, "invalid_input", /^indexed must come with a total/],
  ["PUT", GROUP, { body: { total: 1_000_001, indexed: true } }, 422, "invalid_input", /^indexed must come/],
  ["PUT", GROUP, { body: { total: 1, timeoutSec: -1 } }, 422, "invalid_input", /^timeoutSec/],
  ["PUT", GROUP, { body: { total: 1, timeoutSec: 1e9 } }, 422, "invalid_input", /^timeoutSec/],
  ["PUT", GROUP, { body: { total: 1, ttlSec: 0 } }, 422, "invalid_input", /^ttlSec/],
  ["PUT", GROUP, { body: { total: 1, metadata: "x".repeat(16_384) } }, 422, "invalid_input", /metadata/],
  ["PUT", GROUP, { body: { total: 1, restart: false } }, 422, "invalid_input", /^restart/],
  ["PUT", GROUP, { body: { total: 1, restart: { from: -1 } } }, 422, "invalid_input", /^restart/],
  ["PUT", GROUP, { body: { total: 1, restart: { from: 1 } } }, 409, "conflict", /generation/],
  ["PUT", GROUP, { body: { total: 1, onEnd: "x" } }, 422, "invalid_input", /^onEnd/],
  ["PUT", GROUP, { body: { total: 1, onEnd: {} } }, 422, "invalid_input", /^onEnd must be/],
  ["PUT", GROUP, { body: { total: 1, onEnd: { handler: "" } } }, 422, "invalid_input", /^onEnd\.handler/],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: "x" } } }, 422, "invalid_input", /url/],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: "http://hooks.example/" } } }, 422, "invalid_input", /https/],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: "https://other.example/" } } }, 422, "invalid_input", /allowed/],
  [
    "PUT",
    GROUP,
    { body: { total: 1, onEnd: { url: "https://hooks.example/", payload: 1 } } },
    422,
    "invalid_input",
    /onEnd/,
  ],
  [
    "PUT",
    GROUP,
    { body: { total: 1, onEnd: { handler: "x", payload: "x".repeat(65_536) } } },
    422,
    "invalid_input",
    /payload/,
  ],
  // ---- What stands below a group ----
  ["POST", `${GROUP}/acks`, { body: {} }, 422, "invalid_input", /^tasks is required/],
  ["POST", `${GROUP}/acks`, { body: { tasks: [] } }, 422, "invalid_input", /^tasks must hold 1 to 1000/],
  [
    "POST",
    `${GROUP}/acks`,
    { body: { tasks: Array(1_001).fill({ id: "a" }) } },
    422,
    "invalid_input",
    /^tasks must hold/,
  ],
  ["POST", `${GROUP}/acks`, { body: { tasks: [true] } }, 422, "invalid_input", /^tasks\[0\]\.id must be/],
  ["POST", `${GROUP}/acks`, { body: { tasks: [0.5] } }, 422, "invalid_input", /^tasks\[0\]\.id must be/],
  ["POST", `${GROUP}/acks`, { body: { tasks: [{ id: -1 }] } }, 422, "invalid_input", /^tasks\[0\]\.id must be/],
  ["POST", `${GROUP}/acks`, { body: { tasks: [""] } }, 422, "invalid_input", /^tasks\[0\]\.id must be/],
  [
    "POST",
    `${GROUP}/acks`,
    { body: { tasks: [{ id: "a", result: 1, error: "x" }] } },
    422,
    "invalid_input",
    /^tasks\[0\]/,
  ],
  [
    "POST",
    `${GROUP}/acks`,
    { body: { tasks: [{ id: "a", result: "x".repeat(16_384) }] } },
    422,
    "invalid_input",
    /result/,
  ],
  ["POST", `${GROUP}/acks`, { body: { tasks: [{ id: "a" }], generation: "1" } }, 422, "invalid_input", /^generation/],
  ["POST", `${GROUP}/cancel`, { body: {} }, 422, "invalid_input", /^reason is required/],
  ["POST", `${GROUP}/decrement`, { body: { by: 0 } }, 422, "invalid_input", /^by must be/],
  ["POST", `${GROUP}/decrement`, { body: { opId: "" } }, 422, "invalid_input", /^opId/],
  ["GET", `${GROUP}/results?limit=0`, {}, 422, "invalid_input", /^query\.limit/],
  ["GET", `${GROUP}/results?limit=1001`, {}, 422, "invalid_input", /^query\.limit/],
  ["GET", `${GROUP}/results?after=-1`, {}, 422, "invalid_input", /^query\.after/],
  ["GET", `${GROUP}/results?page=1`, {}, 422, "invalid_input", /unknown field: page/],
  // ---- Transitions ----
  ["POST", "/v1/run/completion/woken", { body: { id: ID, input: {} } }, 404, "not_found", /no such transition/],
  ["POST", "/v1/run/completion/settle", { body: { id: ID, input: {} } }, 404, "not_found", /no such transition/],
  ["POST", "/v1/run/completion/constructor", { body: { id: ID, input: {} } }, 404, "not_found", /no such transition/],
  ["POST", "/v1/run/__proto__/toString", { body: { id: ID, input: {} } }, 404, "not_found", /no such transition/],
  ["POST", "/v1/watch/completion/status", { body: { id: ID, input: {} } }, 404, "not_found", /no such transition/],
  [
    "POST",
    "/v1/watch/completion/wait",
    { body: { id: ID, input: {}, timeoutMs: 25_001 } },
    422,
    "invalid_input",
    /^timeoutMs/,
  ],
  ["POST", "/v1/run/completion/status", { body: { input: {} } }, 422, "invalid_input", /^id is required/],
  ["POST", "/v1/run/completion/status", { body: { id: ID } }, 422, "invalid_input", /^input is required/],
  [
    "POST",
    "/v1/run/completion/status",
    { body: { id: ID, input: { x: 1 } } },
    422,
    "invalid_input",
    /unknown field: x/,
  ],
  ["POST", "/v1/run/completion/status", { body: { id: long, input: {} } }, 422, "invalid_input", /^id must be/],
  ...inputs("completion/ack", [
    [{ ...ack, op: "" }, /^input\.op/],
    [{ ...ack, op: long }, /^input\.op/],
    [{ ...ack, tasks: [] }, /^input\.tasks/],
    [{ ...ack, tasks: [{ id: "" }] }, /^input\.tasks\[0\]\.id/],
    [{ ...ack, tasks: [{ id: "a", result: "{" }] }, /^input\.tasks\[0\]\.result must be JSON/],
    [{ ...ack, tasks: [{ id: "a", result: "[".repeat(65) + "]".repeat(65) }] }, /^input\.tasks\[0\]\.result/],
    [{ ...ack, tasks: [{ id: "a", error: "x".repeat(1_025) }] }, /^input\.tasks\[0\]\.error/],
    [{ ...ack, tasks: [{ id: "a", result: "1", error: "x" }] }, /^input\.tasks\[0\]/],
    [{ ...ack, generation: -1 }, /^input\.generation/],
    [{ ...ack, earlyTtlMs: -1 }, /^input\.earlyTtlMs/],
    [{ ...ack, earlyTtlMs: 1e15 }, /^input\.earlyTtlMs/],
    [{ ...ack, view: 1 }, /^input\.view/],
  ]),
  ...inputs("completion/register", [
    [{ ...registration, op: "" }, /^input\.op/],
    [{ ...registration, fingerprint: "short" }, /^input\.fingerprint/],
    [{ ...registration, total: -1 }, /^input\.total/],
    [{ ...registration, lists: ['["","a"]'] }, /^input\.total must be 0 with lists/],
    [{ ...named, total: 1, lists: ['["","a"]'] }, /^input\.total must be 0 with lists/],
    [{ ...named, lists: ['["","a"]', '["",""]'] }, /^input\.lists\[1\]/],
    [{ ...registration, timeoutMs: 1e15 }, /^input\.timeoutMs/],
    [{ ...registration, ttlMs: 0 }, /^input\.ttlMs/],
    [{ ...registration, ttlMs: 1e15 }, /^input\.ttlMs/],
    [{ ...registration, metadata: "{" }, /^input\.metadata/],
    [{ ...registration, restart: { from: -1 } }, /^input\.restart\.from/],
    [{ ...registration, targets: { complete: { route: "handler:", body: "null" } } }, /^input\.targets\.complete/],
    [{ ...registration, targets: { complete: { route: "other", body: "null" } } }, /^input\.targets\.complete/],
    [{ ...registration, targets: { complete: { ...target, body: "{" } } }, /^input\.targets\.complete/],
    [
      { ...registration, targets: { complete: { ...target, body: `"${"x".repeat(65_536)}"` } } },
      /body must be at most/,
    ],
    [{ ...registration, targets: { done: target } }, /unknown field: done/],
    ...[
      "null",
      "{",
      "[]",
      "{}",
      '{"machine":"request","id":"a","stage":"s"}',
      '{"machine":"request","id":"a","stage":"s","taskId":""}',
      '{"machine":"request","id":"a","stage":"s","taskId":1}',
      '{"machine":"request","id":"","stage":"s","taskId":"a"}',
      '{"machine":"kv","id":"a","stage":"s","taskId":"a"}',
      '{"machine":"__proto__","id":"a","stage":"s","taskId":"a"}',
      '{"machine":"completion","id":"a","taskId":"a","generation":-1}',
      `{"machine":"request","id":"a","stage":"${"s".repeat(65)}","taskId":"a"}`,
      '{"machine":"request","id":"a","stage":"s","taskId":"a","processed":2}',
    ].map(
      (body) =>
        [{ ...registration, targets: { end: { route: "task", body } } }, /^input\.targets\.end must be a/] as const,
    ),
    [
      { ...registration, targets: { end: { route: "task:", body: '{"machine":"request","id":"a","taskId":"a"}' } } },
      /^input\.targets\.end must be a/,
    ],
    [
      { ...registration, targets: { end: { route: "cascade", body: '{"chain":1,"lists":1,"ttlMs":1}' } } },
      /^input\.targets\.end must be a/,
    ],
    [{ ...registration, targets: { end: { route: "url", body: "https://other.example/" } } }, /allowed/],
    [{ ...registration, targets: { end: { route: "url", body: "https://169.254.169.254/" } } }, /public/],
  ]),
  ...inputs("completion/decrement", [
    [{ op: "", by: 1 }, /^input\.op/],
    [{ op: "x", by: -1 }, /^input\.by/],
    [{ op: "x", by: 1e10 }, /^input\.by/],
  ]),
  ...inputs("completion/cancel", [[{ reason: "x".repeat(1_025) }, /^input\.reason/]]),
  ...inputs("completion/results", [[{ after: -1, limit: 1 }, /^input\.after/]]),
  ...inputs("completion/take", [[{ op: "", generation: 1 }, /^input\.op/]]),
  ...inputs("kv/incr", [
    [{ op: "", ttlMs: 1, delta: 1 }, /^input\.op/],
    [{ op: "x", ttlMs: 0, delta: 1 }, /^input\.ttlMs/],
    [{ op: "x", ttlMs: 1, delta: 0.5 }, /^input\.delta/],
    [{ op: "x", ttlMs: 1, delta: 2 ** 53 }, /^input\.delta/],
  ]),
  ...inputs("kv/setIfAbsent", [[{ op: "", ttlMs: 1 }, /^input\.op/]]),
  ...inputs("kv/sadd", [
    [{ op: "x", ttlMs: 1, members: [] }, /^input\.members/],
    [{ op: "x", ttlMs: 1, members: ["x".repeat(65_537)] }, /^input\.members\[0\]/],
    [{ op: "x", ttlMs: 1, members: Array(10_001).fill("a") }, /^input\.members must hold/],
  ]),
  ...inputs("kv/rpush", [[{ op: "x", ttlMs: 1, values: [1] }, /^input\.values\[0\]/]]),
  ...inputs("kv/expire", [[{ ttlMs: -1 }, /^input\.ttlMs/]]),
];

function inputs(path: string, cases: readonly (readonly [input: object, detail: RegExp])[]) {
  return cases.map(
    ([input, detail]) =>
      ["POST", `/v1/run/${path}`, { body: { id: ID, input } }, 422, "invalid_input", detail] as const,
  );
}

/** A body of no announced length. */
function streamOf(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, 65_536);
      left -= size;
      if (size > 0) controller.enqueue(new Uint8Array(size).fill(0x20));
      else controller.close();
    },
  });
}

describe("a refusal", () => {
  it.each(REFUSALS.map((refusal, i) => [i, ...refusal] as const))(
    "%i: %s %s",
    async (_, method, path, request, status, code, detail) => {
      const answer = await call(method, path, request);
      expect([answer.status, answer.json?.code]).toEqual([status, code]);
      expect(answer.json.detail).toMatch(detail);
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(answer.json).toMatchObject({ type: "about:blank", status, retryable: false, applied: "no" });
      if (status === 405) expect(answer.headers.get("allow")).toBe(answer.json.detail.replace("this path takes ", ""));
    },
  );

  it("leaves nothing behind", async () => {
    expect((await call("GET", GROUP)).status).toBe(404);
    const early = await call("PUT", GROUP, { body: { total: 1 } });
    expect(early.json).toMatchObject({ state: "open", remaining: 1 });
    for (const read of ["kv/getInt", "kv/scard", "kv/lrange"]) {
      const { json } = await call("POST", `/v1/run/${read}`, { body: { id: ID, input: {} } });
      expect(json.output).toEqual(read === "kv/lrange" ? { values: [] } : { result: "0" });
    }
  });

  it("is for other specifications of a registered group, and for counting named tasks by number", async () => {
    const path = `/v1/groups/${freshId()}`;
    await call("PUT", path, { body: { tasks: ["a"] } });
    expect((await call("PUT", path, { body: { tasks: ["b"] } })).json).toMatchObject({ status: 409, code: "conflict" });
    expect((await call("POST", `${path}/decrement`, { body: {} })).json).toMatchObject({
      status: 409,
      code: "conflict",
    });
  });

  it("has no body for HEAD", async () => {
    const { status, text } = await call("HEAD", "/v1/groups/nowhere");
    expect([status, text]).toEqual([404, ""]);
  });
});
