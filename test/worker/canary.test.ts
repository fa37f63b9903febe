import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorker, type WorkerProcess } from "../support/worker-process.js";
import { type Call, type Client, clientOf } from "./client.js";

/** Words that must not come back: in secrets, ids, values, names of fields, paths. */
const CANARY = "Canary7f3a91";
const TOKEN = `token-${CANARY}-secret`;
const HOST = "hooks.example";

let worker: WorkerProcess;
let broken: WorkerProcess;
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
  ["DELETE", GROUP, {}],
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
  ["POST", `/v1/run/${CANARY}/status`, { body: {} }],
  ["POST", `/v1/watch/completion/${CANARY}`, { body: {} }],
  run("completion/status", CANARY),
  run("completion/status", {}, { id: CANARY }),
  run("completion/ack", { op: CANARY, tasks: [{ id: CANARY, result: CANARY }], earlyTtlMs: 1 }),
  run("completion/register", { op: CANARY, spec: CANARY, total: 1, timeoutMs: 0, ttlMs: 1, deliveryId: CANARY }),
  run("completion/cancel", { reason: CANARY.repeat(99) }),
  run("kv/incr", { op: CANARY, ttlMs: 1, delta: CANARY }),
  run("kv/sadd", { op: CANARY, ttlMs: 1, members: [CANARY.repeat(9_000)] }),
];

it("nothing that was sent comes back in an error", async () => {
  await call("PUT", GROUP, { token: TOKEN, body: { tasks: [CANARY] } });
  for (const [method, path, request] of FAULTS) {
    const { status, text, headers } = await call(method, path, { token: TOKEN, ...request });
    expect([method, path, request, status >= 400]).toEqual([method, path, request, true]);
    expect(text + JSON.stringify([...headers])).not.toContain(CANARY);
  }
});

it("an error that nobody expected is told without its words", async () => {
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
