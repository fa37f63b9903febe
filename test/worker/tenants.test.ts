import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Random } from "../../dev/random.js";
import { startWorker, type WorkerHost } from "../../dev/worker-host.js";
import { count, reached } from "../support/figures.js";
import { type Answer, type Client, clientOf, type Output } from "./client.js";

/** The tokens, whose tenants share every id; the single token's data is a tenant of its own. */
const TENANTS = { "token-of-tenant-a": "a", "token-of-tenant-b": "b", "token-of-tenant-a.b": "a.b" };
const SINGLE = "token-of-nobody-else";
const VARS = { COORDINATOR_TOKEN: SINGLE, COORDINATOR_TOKENS: JSON.stringify(TENANTS) };
const TOKENS = [SINGLE, ...Object.keys(TENANTS)];
/** Ids that try to reach over: into prefixes, machines, tags. */
const IDS = ["x", "a:x", "{completion}x", "coord:a:{completion}x", "}{", "b:{kv}x", "../b/x", "a", "1:a1:x"];
const OPS = 2_400;
const KINDS = 14;

let worker: WorkerHost;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: VARS });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

/** What one tenant has done, as this tenant alone would see it. */
interface Own {
  readonly groups: Map<string, { total: number; acked: Set<string>; cancelled: boolean }>;
  readonly counters: Map<string, number>;
  /** Each request's tasks. Those that are acked before the registration are kept for it. */
  readonly requests: Map<string, { isRegistered: boolean; readonly added: Set<string>; readonly acked: Set<string> }>;
  readonly claims: Set<string>;
  readonly versions: Map<string, number>;
  readonly sums: Map<string, number>;
}

function nothing(): Own {
  return {
    groups: new Map(),
    counters: new Map(),
    requests: new Map(),
    claims: new Set(),
    versions: new Map(),
    sums: new Map(),
  };
}

function isEnded(group: { total: number; acked: Set<string>; cancelled: boolean }): boolean {
  return group.cancelled || group.acked.size >= group.total;
}

it(`${OPS} random operations of four tenants over the same ids, all at once, leak nothing`, async ({ task }) => {
  const owns = await Promise.all(TOKENS.map((token, n) => live(token, new Random(20_240_611 + n))));
  const leaked = owns.reduce((sum, { leaks }) => sum + leaks.length, 0);
  reached(task, { row: "S5", reached: `${count(OPS)} random operations of ${TOKENS.length} tenants, ${leaked} leaks` });
  expect(owns.map(({ leaks }) => leaks)).toEqual(TOKENS.map(() => []));
  // Each tenant has made some: silence would prove nothing.
  for (const { own } of owns) {
    expect(Object.entries(own).filter(([, { size }]) => size <= 3)).toEqual([]);
  }
});

/** One tenant's operations, one after the other; those whose answers told of more than its own deeds. */
async function live(token: string, random: Random): Promise<{ own: Own; leaks: string[] }> {
  const own = nothing();
  const leaks: string[] = [];
  for (let i = 0; i < OPS / TOKENS.length; i++) {
    const id = IDS[random.below(IDS.length)] ?? "x";
    const kind = random.below(KINDS);
    if (!(await step({ token, id, own, kind, i }))) leaks.push(`operation ${i} of kind ${kind}`);
  }
  return { own, leaks };
}

interface Step {
  readonly token: string;
  readonly id: string;
  readonly own: Own;
  readonly kind: number;
  readonly i: number;
}

/** One operation; whether its answer tells of this tenant's own deeds alone. */
async function step({ token, id, own, kind, i }: Step): Promise<boolean> {
  const path = `/v1/groups/${encodeURIComponent(id)}`;
  const group = own.groups.get(id);
  switch (kind) {
    case 0: {
      const metadata = { by: token };
      const { json } = await call("PUT", path, { token, body: { total: 3, metadata } });
      if (group === undefined) own.groups.set(id, { total: 3, acked: new Set(), cancelled: false });
      return json.metadata?.by === token && json.succeeded === (group?.acked.size ?? 0);
    }
    case 1: {
      if (group === undefined) return (await call("GET", path, { token })).status === 404;
      const task = `task-${i % 4}`;
      const { json } = await call("POST", `${path}/acks`, { token, body: { tasks: [{ id: task }] } });
      const counts = !group.acked.has(task) && !isEnded(group);
      if (counts) group.acked.add(task);
      return (json.results[0]?.verdict === "accepted") === counts && Object(json.status).metadata.by === token;
    }
    case 2:
      return agrees(await call("GET", path, { token }), token, group);
    case 3: {
      const answer = await call("POST", `${path}/cancel`, { token, body: { reason: token } });
      if (group !== undefined && !isEnded(group)) group.cancelled = true;
      return agrees(answer, token, group);
    }
    case 4: {
      const input = { op: `op-${i}`, ttlMs: 600_000, delta: 1 };
      const { result } = await run(token, "kv/incr", id, input);
      const value = (own.counters.get(id) ?? 0) + 1;
      own.counters.set(id, value);
      return result === String(value);
    }
    case 5:
      return (await run(token, "kv/getInt", id, {})).result === String(own.counters.get(id) ?? 0);
    default:
      return kind < 10 ? stepOfRequest({ token, id, own, kind, i }) : stepOfSmall({ token, id, own, kind, i });
  }
}

let runs = 0;

/** By itself, and every other time in a batch. */
async function run(token: string, transition: string, id: string, input: object): Promise<Output> {
  runs += 1;
  if (runs % 2 === 0) return (await call("POST", `/v1/run/${transition}`, { token, body: { id, input } })).json.output;
  const operation = { transition: transition.replace("/", "."), id, input };
  const { json } = await call("POST", "/v1/batch", { token, body: { operations: [operation] } });
  return (json as unknown as { outcomes: readonly { output: Output }[] }).outcomes[0]?.output as Output;
}

async function stepOfRequest({ token, id, own, kind, i }: Step): Promise<boolean> {
  const path = `/v1/requests/${encodeURIComponent(id)}`;
  const known = own.requests.get(id);
  const request = known?.isRegistered === true ? known : undefined;
  const taskId = `task-${i % 5}`;
  switch (kind) {
    case 6: {
      const { json } = await call("PUT", path, { token });
      own.requests.set(id, { added: new Set(), acked: new Set(), ...known, isRegistered: true });
      return json.id === id && json.open === openOf(request) && onlyStage(json.queueStatus, token);
    }
    case 7: {
      const { json } = await call("POST", `${path}/acks`, { token, body: { stage: token, taskId } });
      const { added, acked } = known ?? { added: new Set(), acked: new Set<string>() };
      if (known === undefined)
        own.requests.set(id, { isRegistered: false, added: new Set(), acked: new Set([taskId]) });
      const wanted = !added.has(taskId) ? "early" : acked.has(taskId) ? "duplicate" : "accepted";
      acked.add(taskId);
      return json.verdict === wanted;
    }
    case 8: {
      const { json } = await call("POST", `${path}/tasks`, { token, body: { stage: token, taskIds: [taskId] } });
      if (request === undefined) return json.outcome === "unknown";
      // New and open: neither known, nor acked before.
      const isNew = !request.added.has(taskId) && !request.acked.has(taskId);
      request.added.add(taskId);
      return json.outcome === "added" && json.added.length === (isNew ? 1 : 0);
    }
    default: {
      const { status, json } = await call("GET", path, { token });
      if (request === undefined) return status === 404;
      const { added, acked } = request;
      return (
        onlyStage(json.queueStatus, token) &&
        json.open === openOf(request) &&
        countOf(json.queueStatus[token]) === [...acked].filter((task) => added.has(task)).length
      );
    }
  }
}

type Request = Own["requests"] extends Map<string, infer R> ? R : never;
const openOf = (request: Request | undefined): number =>
  request === undefined ? 0 : [...request.added].filter((task) => !request.acked.has(task)).length;
const onlyStage = (stages: object, token: string): boolean => Object.keys(stages).every((stage) => stage === token);
const countOf = (stage: { readonly processed: number } | undefined): number => stage?.processed ?? 0;

async function stepOfSmall({ token, id, own, kind, i }: Step): Promise<boolean> {
  const op = { op: `op-${i}`, ttlMs: 600_000 };
  switch (kind) {
    case 10: {
      const { claimed } = await run(token, "dedupe/claim", id, op);
      const isFirst = !own.claims.has(id);
      own.claims.add(id);
      return claimed === isFirst;
    }
    case 11: {
      // Another tenant's version would make this one stale.
      const before = own.versions.get(id);
      const input = { version: before ?? 0, ttlMs: 600_000 };
      const { stale } = await run(token, "coalesce/seen", id, input);
      own.versions.set(id, (await run(token, "coalesce/next", id, op)).version);
      return stale === false && (before ?? 0) < (own.versions.get(id) ?? 0);
    }
    case 12: {
      const counts = { processed: 1, requeueCount: 0, errorCount: 0 };
      await run(token, "stats/merge", id, { ...op, id, ...counts, maxTracked: 100 });
      own.sums.set(id, (own.sums.get(id) ?? 0) + 1);
      return true;
    }
    default: {
      const { counts } = await run(token, "stats/consume", id, { op: op.op, id });
      const sum = own.sums.get(id) ?? 0;
      own.sums.set(id, 0);
      return countOf(counts) === sum;
    }
  }
}

function agrees(
  answer: Answer,
  token: string,
  group: { total: number; acked: Set<string>; cancelled: boolean } | undefined,
) {
  if (group === undefined) return answer.status === 404;
  const { metadata, succeeded, state, reason } = answer.json;
  const wanted = group.cancelled ? "cancelled" : isEnded(group) ? "completed" : "open";
  return metadata?.by === token && succeeded === group.acked.size && state === wanted && (reason ?? token) === token;
}

it("a tenant's group acks the task of that tenant's request, and of no other tenant's request", async () => {
  const ids = ["shared", "a:shared", "coord:a:{request}shared"];
  const requestPath = (id: string) => `/v1/requests/${encodeURIComponent(id)}`;
  for (const token of TOKENS) {
    for (const id of ids) {
      await call("PUT", requestPath(id), { token });
      await call("POST", `${requestPath(id)}/tasks`, { token, body: { stage: "s", taskIds: ["a"] } });
    }
  }
  const complete = new Set<string>();
  for (const token of TOKENS) {
    for (const id of ids) {
      const onEnd = { task: { requestId: id, stage: "s", taskId: "a" } };
      await call("PUT", `/v1/groups/${encodeURIComponent(id)}`, { token, body: { total: 0, onEnd } });
      const waited = await call("GET", requestPath(id), { token, headers: { prefer: "wait=20" } });
      expect(waited.json.state).toBe("complete");
      complete.add(`${token} ${id}`);
      const states = TOKENS.flatMap((other) => ids.map((each) => [other, each] as const)).map(async ([other, each]) => {
        const { json } = await call("GET", requestPath(each), { token: other });
        return [`${other} ${each}`, json.state] as const;
      });
      for (const [name, state] of await Promise.all(states)) {
        expect([name, state]).toEqual([name, complete.has(name) ? "complete" : "pending"]);
      }
    }
  }
});

it("a tenant's group finds that tenant's request after a restart too, when its alarm alone wakes it", async () => {
  const persistDir = mkdtempSync(join(tmpdir(), "edge-coordinator-"));
  const path = "/v1/requests/x";
  const read = async (by: Client, token: string) => (await by("GET", path, { token })).json.state;
  let own = await startWorker({ vars: VARS, persistDir });
  try {
    const before = clientOf(own.url);
    for (const token of TOKENS) {
      await before("PUT", path, { token });
      await before("POST", `${path}/tasks`, { token, body: { stage: "s", taskIds: ["a"] } });
    }
    const onTimeout = { task: { requestId: "x", stage: "s", taskId: "a" } };
    await before("PUT", "/v1/groups/x", { token: "token-of-tenant-b", body: { total: 1, timeoutSec: 2, onTimeout } });
    await own.close();

    own = await startWorker({ vars: VARS, persistDir });
    const after = clientOf(own.url);
    const headers = { prefer: "wait=20" };
    const { json } = await after("GET", path, { token: "token-of-tenant-b", headers });
    expect(json.queueStatus.s?.errors).toEqual([{ taskId: "a", message: "x timed_out: deadline" }]);
    const states = await Promise.all(TOKENS.map((token) => read(after, token)));
    expect(states).toEqual(TOKENS.map((token) => (token === "token-of-tenant-b" ? "complete" : "pending")));
  } finally {
    await own.close();
    rmSync(persistDir, { recursive: true, force: true });
  }
});
