import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { reached } from "../support/figures.js";
import { type Receiver, startReceiver } from "../webhook/receiver.js";
import { type Call, type Client, clientOf, freshId, TOKEN } from "./client.js";

const BODY_BYTES = 262_144;

let worker: WorkerHost;
let receiver: Receiver;
let call: Client;

beforeAll(async () => {
  // Takes webhooks, and never answers: their deliveries stay pending.
  receiver = await startReceiver(() => {});
  worker = await startWorker({
    vars: {
      COORDINATOR_TOKEN: TOKEN,
      WEBHOOK_SECRET: `whsec_${btoa("x".repeat(32))}`,
      WEBHOOK_ALLOWED_HOSTS: receiver.host,
      WEBHOOK_ALLOW_HTTP: "true",
    },
  });
  call = clientOf(worker.url);
});
afterAll(async () => {
  await receiver.close();
  await worker.close();
});

/** A number with what is one more. */
const over = (cap: number): number => cap + 1;
const many = (n: number): string[] => Array.from({ length: n }, (_, i) => `i${i}`);
const bytes = (n: number): string => "x".repeat(n);
/** Three bytes of UTF-8 each: a count of characters would let them through. */
const wide = (n: number): string => "日".repeat(Math.ceil(n / 3));

const group = (id: string, body: unknown): [string, string, Call] => ["PUT", `/v1/groups/${id}`, { body }];
const acks = (id: string, tasks: unknown): [string, string, Call] => [
  "POST",
  `/v1/groups/${id}/acks`,
  { body: { tasks } },
];
const tasks = (id: string, body: unknown): [string, string, Call] => ["POST", `/v1/requests/${id}/tasks`, { body }];
const requestAck = (id: string, body: object): [string, string, Call] => [
  "POST",
  `/v1/requests/${id}/acks`,
  { body: { stage: "s", taskId: "r", ...body } },
];
const registered = (id: string, more: object) =>
  run(id, "completion/register", { fingerprint: "0".repeat(64), kind: "named", total: 0, timeoutMs: 0, ...more });
const listOf = (ids: readonly string[], stage = ""): string => JSON.stringify([stage, ...ids]);
const run = (id: string, transition: string, input: object): [string, string, Call] => [
  "POST",
  `/v1/run/${transition}`,
  { body: { id, input: { op: "op", ttlMs: 60_000, ...input } } },
];

/** What is one more than it may be, and the status that refuses it. */
const CAPS: readonly (readonly [string, number, (id: string) => [string, string, Call]])[] = [
  ["an id of a group", 422, () => group(bytes(over(256)), { total: 1 })],
  ["an id of a group, in bytes", 422, () => group(encodeURIComponent(wide(over(256))), { total: 1 })],
  ["an id of a request", 422, () => ["PUT", `/v1/requests/${bytes(over(256))}`, {}]],
  ["an id of a task", 422, (id) => group(id, { tasks: [bytes(over(256))] })],
  ["an id of an acked task", 422, (id) => acks(id, ["i0", bytes(over(256))])],
  ["an id of a request's task", 422, (id) => tasks(id, { stage: "s", taskIds: ["i0", wide(over(256))] })],
  ["a raw key", 422, () => run(bytes(over(256)), "kv/incr", { delta: 1 })],
  ["an op id", 422, (id) => run(id, "kv/incr", { op: bytes(over(256)), delta: 1 })],
  ["a body", 413, (id) => ["PUT", `/v1/groups/${id}`, { body: `{"total":1}${" ".repeat(BODY_BYTES)}` }]],
  ["a body of unknown length", 413, (id) => ["PUT", `/v1/groups/${id}`, { body: streamOf(over(BODY_BYTES)) }]],
  ["a list of tasks", 413, (id) => group(id, { tasks: many(100_001) })],
  ["acks of a call", 422, (id) => acks(id, many(1_001))],
  ["tasks of a request's call", 422, (id) => tasks(id, { stage: "s", taskIds: many(1_001) })],
  ["next tasks of a stage", 422, (id) => requestAck(id, { next: [{ stage: "s", taskIds: many(1_001) }] })],
  [
    "next tasks of an ack",
    422,
    (id) => requestAck(id, { next: ["t", "u"].map((stage) => ({ stage, taskIds: many(501) })) }),
  ],
  ["added tasks of a call", 422, (id) => ["POST", `/v1/groups/${id}/tasks`, { body: { tasks: many(1_001) } }]],
  ["retried tasks of a call", 422, (id) => ["POST", `/v1/groups/${id}/retry`, { body: { tasks: many(1_001) } }]],
  ["a stage's name", 422, (id) => tasks(id, { stage: bytes(65), taskIds: ["i0"] })],
  ["the ids of a list", 422, (id) => registered(id, { lists: [listOf(many(65))] })],
  ["an id of a list", 422, (id) => registered(id, { lists: [listOf([wide(over(256))])] })],
  ["a list's stage", 422, (id) => registered(id, { lists: [listOf(["a"], bytes(65))] })],
  ["lists of a call", 422, (id) => run(id, "completion/add", { ttlMs: undefined, lists: many(1_001) })],
  [
    "tasks of a call's lists",
    422,
    (id) => run(id, "completion/add", { ttlMs: undefined, lists: Array(16).fill(listOf(many(63))) }),
  ],
  ["a total", 422, (id) => group(id, { total: over(1_000_000_000) })],
  ["metadata", 422, (id) => group(id, { total: 1, metadata: bytes(over(16_384)) })],
  ["a handler's payload", 422, (id) => group(id, { total: 1, onEnd: { handler: "h", payload: wide(over(65_536)) } })],
  ["a webhook's URL", 422, (id) => group(id, { total: 1, onEnd: { url: `${receiver.url}/${bytes(2_049)}` } })],
  ["a result", 422, (id) => acks(id, [{ id: "i0", result: wide(over(16_384)) }])],
  ["a count", 422, (id) => requestAck(id, { processed: over(1_000_000_000) })],
  ["a set's member", 422, (id) => run(id, "kv/sadd", { members: ["a", wide(over(2_048))] })],
  ["a list's item", 422, (id) => run(id, "kv/rpush", { values: ["a", bytes(over(2_048))] })],
  ["members of a call", 422, (id) => run(id, "kv/sadd", { members: many(over(10_000)) })],
  ["a claim's window", 422, (id) => run(id, "dedupe/claim", { ttlMs: over(31_536_000_000) })],
  ["ids that are tracked", 422, (id) => run(id, "stats/merge", { id, ...NOTHING, processed: 1, maxTracked: 64_001 })],
];

const NOTHING = { processed: 0, requeueCount: 0, errorCount: 0 };

function streamOf(size: number): ReadableStream<Uint8Array> {
  let left = size;
  return new ReadableStream({
    pull(controller) {
      const next = Math.min(left, 65_536);
      left -= next;
      if (next > 0) controller.enqueue(new Uint8Array(next).fill(0x20));
      else controller.close();
    },
  });
}

/** What is stored under an id, in any machine; nothing when all is as it was. */
async function storedUnder(id: string): Promise<string[]> {
  const read = async (transition: string, input: object) =>
    JSON.stringify((await call("POST", `/v1/run/${transition}`, { body: { id, input } })).json.output);
  const found: string[] = [];
  const isNew = async (what: string, wanted: string, seen: Promise<string>) => {
    if ((await seen) !== wanted) found.push(what);
  };
  await isNew("a group", "{}", read("completion/status", {}));
  await isNew("a key", '{"result":"0"}', read("kv/getInt", {}));
  await isNew("a claim", '{"claimed":true}', read("dedupe/claim", { op: "reader", ttlMs: 60_000 }));
  await isNew("counts", "{}", read("stats/consume", { op: "reader", id }));
  // Early acks show once what they are for is registered.
  const late = await call("PUT", `/v1/groups/${id}`, { body: { total: 3 } });
  if (late.json.succeeded !== 0) found.push("an early ack");
  return found;
}

it("what is one more than it may be is refused, and nothing of it is stored", async ({ task }) => {
  const wrong: string[] = [];
  const statuses: Record<number, number> = {};
  for (const [what, wanted, make] of CAPS) {
    const id = freshId();
    await call("PUT", `/v1/requests/${id}`);
    const { status, json } = await call(...make(id));
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status !== wanted || json.applied !== "no") wrong.push(`${what}: ${status}`);
    const seen = await call("GET", `/v1/requests/${id}`);
    if (Object.keys(seen.json.queueStatus).length > 0 || seen.json.state !== "pending") wrong.push(`${what}: an ack`);
    wrong.push(...(await storedUnder(id)).map((found) => `${what}: ${found}`));
  }
  const told = Object.entries(statuses).map(([status, times]) => `${times} × ${status}`);
  reached(task, {
    row: "S7",
    reached: `${CAPS.length} caps passed by one: ${told.join(", ")}, ${wrong.length} stored`,
  });
  expect(wrong).toEqual([]);
});

it("a full outbox is refused until it has room: 429, and the standing generation stays", async () => {
  const id = freshId();
  const body = { total: 0, restart: true, onEnd: { url: receiver.url } };
  const answers: Awaited<ReturnType<Client>>[] = [];
  for (let i = 0; i < 18; i++) answers.push(await call("PUT", `/v1/groups/${id}`, { body }));
  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused.length).toBeGreaterThan(0);
  for (const { status, json, headers } of refused) {
    expect([status, json.code, json.applied]).toEqual([429, "limit_exceeded", "no"]);
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  }
  const generations = answers.filter(({ status }) => status === 200).map(({ json }) => json.generation);
  expect((await call("GET", `/v1/groups/${id}`)).json.generation).toBe(generations.at(-1));
});

it("of errors 20 are shown, 256 bytes of each, with the true count; the pages of tasks have 1 KB of each", async () => {
  const [id, n] = [freshId(), 150];
  const error = wide(5_000);
  await call("PUT", `/v1/groups/${id}`, { body: { tasks: many(n) } });
  for (let i = 0; i < n; i += 50) {
    const tasks = Array.from({ length: 50 }, (_, at) => ({ id: `i${i + at}`, error }));
    expect((await call("POST", `/v1/groups/${id}/acks`, { body: { tasks } })).status).toBe(200);
  }
  const { json, text } = await call("GET", `/v1/groups/${id}`);
  const { errors, errorCount, failed } = JSON.parse(text);
  expect([json.state, failed, errorCount, errors.length]).toEqual(["completed", n, n, 20]);
  for (const { message } of errors) {
    expect(message.length).toBeGreaterThan(80);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(256);
  }
  expect(text.length).toBeLessThan(8_000);
  const page = JSON.parse((await call("GET", `/v1/groups/${id}/tasks?state=failed&limit=1000`)).text);
  expect([page.items.length, page.next]).toEqual([n, null]);
  for (const item of page.items) {
    expect(item.error.length).toBeGreaterThan(300);
    expect(Buffer.byteLength(item.error)).toBeLessThanOrEqual(1_024);
  }
});
