import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { reached } from "../support/figures.js";
import { type Call, type Client, clientOf } from "./client.js";

/** Words that must not come back: in secrets, ids, values, names of fields, paths. */
const CANARY = "Canary7f3a91";
const TOKEN = `token-${CANARY}-secret`;
const HOST = "hooks.example";

let worker: WorkerHost;
let broken: WorkerHost;
let call: Client;

beforeAll(async () => {
  const vars = {
    COORDINATOR_TOKEN: TOKEN,
    WEBHOOK_SECRET: `whsec_${btoa(CANARY.repeat(3))}`,
    WEBHOOK_ALLOWED_HOSTS: HOST,
  };
  [worker, broken] = await Promise.all([
    startWorker({ vars }),
    startWorker({
      vars,
      source: `
        import { createWorker } from "./worker/index.js";
        export { CoordinatorWorkerObject } from "./worker/index.js";
        export default createWorker({ namespace: () => { throw new Error("${CANARY}"); } });`,
    }),
  ]);
  call = clientOf(worker.url);
});
afterAll(async () => {
  await worker.close();
  await broken.close();
});

const GROUP = `/v1/groups/${CANARY}`;
const REQUEST = `/v1/requests/${CANARY}`;
const TASK = { requestId: CANARY, stage: CANARY, taskId: CANARY };
const STORED = { machine: "request", id: CANARY, stage: CANARY, taskId: CANARY };
const fingerprint = "0".repeat(64);
const REGISTRATION = { op: CANARY, fingerprint, kind: "counted", total: 1, lists: [], timeoutMs: 0, ttlMs: 1 };
const run = (transition: string, input: unknown, id: unknown = CANARY): [string, string, Call] => [
  "POST",
  `/v1/run/${transition}`,
  { body: { id, input } },
];

const FAULTS: readonly (readonly [string, string, Call])[] = [
  ["GET", `/${CANARY}`, {}],
  ["GET", `/v1/${CANARY}`, {}],
  ["GET", `${GROUP}-unknown`, {}],
  ["GET", `${GROUP}%`, {}],
  ["GET", `/v1/groups/${CANARY.repeat(50)}`, {}],
  ["POST", GROUP, {}],
  ["DELETE", `${GROUP}%`, {}],
  ["DELETE", GROUP, { token: `wrong-${CANARY}-token` }],
  ["GET", GROUP, { token: `wrong-${CANARY}-token` }],
  ["GET", GROUP, { token: null, headers: { authorization: `Basic ${CANARY}` } }],
  ["PUT", GROUP, { body: CANARY }],
  ["PUT", GROUP, { body: `{"${CANARY}` }],
  ["PUT", GROUP, { body: CANARY.repeat(30_000) }],
  ["PUT", GROUP, { body: CANARY, headers: { "content-type": `text/${CANARY}` } }],
  ["PUT", GROUP, { body: { total: CANARY } }],
  ["PUT", GROUP, { body: { total: 1, [`${CANARY}-is no name`]: 1 } }],
  ["PUT", GROUP, { body: { total: 1, [`x${CANARY.repeat(9)}`]: 1 } }],
  ["PUT", GROUP, { body: { tasks: [CANARY, CANARY] } }],
  ["PUT", GROUP, { body: { tasks: [`${CANARY}\ud800`] } }],
  ["PUT", GROUP, { body: { total: 1, metadata: CANARY.repeat(3_000) } }],
  ["PUT", GROUP, { body: { total: 1, restart: CANARY } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: CANARY } }],
  ["POST", `/v1/semaphores/${CANARY.repeat(200)}/acquire`, { body: { permits: 1, permitId: CANARY } }],
  ["POST", `/v1/semaphores/${CANARY}/acquire`, { body: { permits: CANARY, permitId: CANARY } }],
  ["POST", `/v1/semaphores/${CANARY}/release`, { body: { permitId: CANARY.repeat(30) } }],
  ["GET", `/v1/semaphores/${CANARY}?${CANARY}-is-no-name=1`, {}],
  ["POST", `/v1/limits/${CANARY}`, { body: { limit: 1, windowSec: 60, namespace: CANARY.repeat(9) } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: CANARY } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: `https://${HOST}/\\${CANARY}` } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: `https://${CANARY}@${HOST}/` } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { url: `https://other.example/${CANARY}?${CANARY}` } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { handler: CANARY, payload: CANARY.repeat(9_000) } } }],
  ["PUT", GROUP, { body: { tasks: ["other"] } }],
  ["POST", `${GROUP}/acks`, { body: { tasks: [CANARY.repeat(50)] } }],
  ["POST", `${GROUP}/acks`, { body: { tasks: [{ id: CANARY, result: CANARY.repeat(3_000) }] } }],
  ["POST", `${GROUP}/acks`, { body: { tasks: [{ id: CANARY, result: CANARY, error: CANARY }] } }],
  ["POST", `${GROUP}/cancel`, { body: { reason: { text: CANARY } } }],
  ["POST", `${GROUP}/decrement`, { body: { by: 1, opId: CANARY.repeat(50) } }],
  ["POST", `${GROUP}/decrement`, { body: { by: 1, opId: CANARY } }],
  ["GET", `${GROUP}/results?after=${CANARY}`, {}],
  ["GET", `${GROUP}/results?a-${CANARY}=1`, {}],
  ["GET", `${REQUEST}-unknown`, {}],
  ["GET", `${REQUEST}%`, {}],
  ["GET", `/v1/requests/${CANARY.repeat(50)}`, { headers: { prefer: `wait=0; ${CANARY}` } }],
  ["POST", REQUEST, {}],
  ["PUT", REQUEST, { body: CANARY }],
  ["PUT", REQUEST, { body: CANARY, headers: { "content-type": `text/${CANARY}` } }],
  ["PUT", REQUEST, { body: { ttlSec: CANARY } }],
  ["PUT", REQUEST, { body: { [CANARY.repeat(5)]: 1 } }],
  ["DELETE", REQUEST, { token: `wrong-${CANARY}-token` }],
  ["POST", `${REQUEST}/tasks`, { body: { stage: CANARY.repeat(9), taskIds: [CANARY] } }],
  ["POST", `${REQUEST}/tasks`, { body: { stage: CANARY, taskIds: [CANARY.repeat(50)] } }],
  ["POST", `${REQUEST}/tasks`, { body: { stage: CANARY, taskIds: CANARY } }],
  ["POST", `${REQUEST}/acks`, { body: { stage: CANARY, taskId: { id: CANARY } } }],
  ["POST", `${REQUEST}/acks`, { body: { stage: CANARY, taskId: CANARY, processed: CANARY } }],
  ["POST", `${REQUEST}/acks`, { body: { stage: CANARY, taskId: CANARY, error: CANARY, next: [] } }],
  ["POST", `${REQUEST}/acks`, { body: { stage: CANARY, taskId: CANARY, next: [{ stage: CANARY }] } }],
  ["POST", `${REQUEST}/acks`, { body: { stage: CANARY, taskId: CANARY, result: CANARY.repeat(3_000) } }],
  ["POST", `${REQUEST}/counts`, { body: { stage: CANARY, error: { text: CANARY } } }],
  ["POST", `${REQUEST}/cancel`, { body: { reason: [CANARY] } }],
  ["POST", `${REQUEST}/retry`, { body: { stage: CANARY, taskIds: [{ id: CANARY }] } }],
  ["POST", `${REQUEST}/extend`, { body: { timeoutSec: CANARY } }],
  ["POST", `${REQUEST}-unknown/redeliver`, { body: { generation: CANARY } }],
  ["GET", `${REQUEST}/tasks?state=${CANARY}`, {}],
  ["GET", `${REQUEST}-unknown/events`, {}],
  ["POST", `${REQUEST}-full/tasks`, { body: { stage: CANARY, taskIds: [CANARY] } }],
  ["POST", `${GROUP}/tasks`, { body: { tasks: [{ id: CANARY, group: { groupId: CANARY } }] } }],
  ["POST", `${GROUP}/retry`, { body: { tasks: [{ id: CANARY, result: CANARY }] } }],
  ["POST", `${GROUP}/extend`, { body: { timeoutSec: CANARY } }],
  ["POST", `${GROUP}/heartbeat`, { body: { generation: CANARY } }],
  ["GET", `${GROUP}-unknown/events`, { headers: { "last-event-id": CANARY } }],
  ["PUT", GROUP, { body: { tasks: [CANARY], complete: { minSuccessful: CANARY } } }],
  ["PUT", GROUP, { body: { tasks: [CANARY], parent: { ...TASK, groupId: CANARY } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { task: CANARY } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { task: { requestId: CANARY, stage: CANARY } } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { task: { ...TASK, stage: CANARY.repeat(9) } } } }],
  ["PUT", GROUP, { body: { total: 1, onEnd: { task: TASK, handler: CANARY } } }],
  ["POST", `/v1/run/${CANARY}/status`, { body: {} }],
  ["POST", `/v1/watch/completion/${CANARY}`, { body: {} }],
  ["POST", "/v1/batch", { body: { operations: CANARY } }],
  ["POST", "/v1/batch", { body: { operations: [], [CANARY]: [] } }],
  run("completion/status", CANARY),
  run("completion/status", {}, { id: CANARY }),
  run("completion/ack", { op: CANARY, tasks: [{ id: CANARY, result: CANARY }], earlyTtlMs: 1 }),
  run("completion/register", { ...REGISTRATION, fingerprint: CANARY }),
  run("completion/register", { ...REGISTRATION, kind: "named", total: 0, lists: [`["${CANARY.repeat(9)}","a"]`] }),
  run("completion/register", { ...REGISTRATION, parent: { key: CANARY, body: CANARY } }),
  run("completion/cancel", { reason: CANARY.repeat(99) }),
  run("completion/register", { ...REGISTRATION, targets: { end: { route: "task", body: CANARY } } }),
  run("completion/register", { ...REGISTRATION, targets: { end: { route: CANARY, body: JSON.stringify(STORED) } } }),
  run("request/register", { op: "op", ttlMs: CANARY }),
  run("request/ack", { op: CANARY, tasks: [{ stage: CANARY.repeat(9), id: CANARY }], earlyTtlMs: 1 }),
  run("request/count", { op: CANARY, stage: CANARY }),
  run("request/add", { op: CANARY, lists: [CANARY] }),
  run("request/progress", { after: CANARY }),
  run("coalesce/next", { op: CANARY, ttlMs: 1, held: CANARY }),
  run("coalesce/seen", { version: CANARY, ttlMs: 1 }),
  run("dedupe/claim", { op: CANARY.repeat(50), ttlMs: 1 }),
  run("dedupe/release", { op: CANARY, holder: [CANARY] }),
  run("stats/merge", { op: CANARY, ttlMs: 1, id: CANARY, processed: 1, requeueCount: 0, errorCount: CANARY }),
  run("stats/consume", { op: CANARY, id: CANARY.repeat(50) }),
  run("kv/incr", { op: CANARY, ttlMs: 1, delta: CANARY }),
  run("kv/sadd", { op: CANARY, ttlMs: 1, members: [CANARY.repeat(9_000)] }),
];

/** The same refusals, and some of its own, as outcomes of a batch. */
const OPERATIONS: readonly unknown[] = [
  ...FAULTS.filter(([, path]) => path.startsWith("/v1/run/")).map(([, path, { body }]) => ({
    transition: path.slice("/v1/run/".length).replace("/", "."),
    ...(body as object),
  })),
  CANARY,
  [CANARY],
  { transition: CANARY, id: CANARY, input: {} },
  { transition: { name: CANARY }, id: CANARY, input: {} },
  { transition: "kv.getInt", id: CANARY.repeat(50), input: {} },
  { transition: "kv.getInt", id: CANARY, input: {}, [`x${CANARY.repeat(9)}`]: 1 },
];

it("nothing that was sent comes back in an outcome of a batch", async () => {
  const answer = await call("POST", "/v1/batch", { token: TOKEN, body: { operations: OPERATIONS } });
  const { outcomes } = answer.json as unknown as { outcomes: readonly object[] };
  expect([answer.status, outcomes.length]).toEqual([200, OPERATIONS.length]);
  expect(outcomes.filter((outcome) => !("problem" in outcome))).toEqual([]);
  expect(answer.text + JSON.stringify([...answer.headers])).not.toContain(CANARY);
});

it("nothing that was sent comes back in an error", async ({ task }) => {
  await call("PUT", GROUP, { token: TOKEN, body: { tasks: [CANARY] } });
  await call("PUT", `${REQUEST}-full`, { token: TOKEN });
  for (let i = 0; i < 64; i++) {
    const body = { stage: `${CANARY}-${i}`, taskIds: [CANARY] };
    await call("POST", `${REQUEST}-full/tasks`, { token: TOKEN, body });
  }
  const leaks: string[] = [];
  for (const [method, path, request] of FAULTS) {
    const { status, text, headers } = await call(method, path, { token: TOKEN, ...request });
    expect([method, path, request, status >= 400]).toEqual([method, path, request, true]);
    if ((text + JSON.stringify([...headers])).includes(CANARY)) leaks.push(`${method} ${path}: ${text}`);
  }
  reached(task, { row: "S6", backend: "worker", reached: `${FAULTS.length} refusals, ${leaks.length} with a canary` });
  expect(leaks).toEqual([]);
});

it("the Worker hides the message of an unexpected error", async () => {
  const { status, json, text } = await clientOf(broken.url)("GET", "/v1/groups/a", { token: TOKEN });
  expect([status, json.code, json.retryable, json.applied]).toEqual([500, "internal", false, "unknown"]);
  expect(text).not.toContain(CANARY);
});

it.each([
  ["WEBHOOK_SECRET", { WEBHOOK_SECRET: `whsec_${CANARY}`, WEBHOOK_ALLOWED_HOSTS: HOST }],
  [
    "WEBHOOK_ALLOWED_HOSTS",
    { WEBHOOK_SECRET: `whsec_${btoa("x".repeat(32))}`, WEBHOOK_ALLOWED_HOSTS: `https://${CANARY}/*` },
  ],
  [
    "WEBHOOK_ALLOW_HTTP",
    { WEBHOOK_SECRET: `whsec_${btoa("x".repeat(32))}`, WEBHOOK_ALLOWED_HOSTS: HOST, WEBHOOK_ALLOW_HTTP: CANARY },
  ],
  ["WEBHOOK_SECRETS", { WEBHOOK_SECRETS: `{"${CANARY}": `, WEBHOOK_ALLOWED_HOSTS: HOST }],
  ["COORDINATOR_TOKENS", { COORDINATOR_TOKENS: `{"${CANARY}": ` }],
  ["COORDINATOR_TOKENS", { COORDINATOR_TOKENS: `{"${CANARY}-token": "${CANARY} {"}` }],
])("%s that is wrong is named and not quoted", async (_, vars) => {
  const own = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN, ...vars } });
  const body = { total: 1, onEnd: { url: `https://${HOST}/${CANARY}` } };
  const { status, json, text } = await clientOf(own.url)("PUT", "/v1/groups/a", { token: TOKEN, body });
  await own.close();
  expect([status, json.code]).toEqual([500, "misconfigured"]);
  expect(text).not.toContain(CANARY);
});
