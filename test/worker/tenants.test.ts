import { afterAll, beforeAll, expect, it } from "vitest";
import { startWorker, type WorkerProcess } from "../support/worker-process.js";
import { type Answer, type Client, clientOf } from "./client.js";

/** The tokens, whose tenants share every id; the single token's data is a tenant of its own. */
const TENANTS = { "token-of-tenant-a": "a", "token-of-tenant-b": "b", "token-of-tenant-a.b": "a.b" };
const SINGLE = "token-of-nobody-else";
const TOKENS = [SINGLE, ...Object.keys(TENANTS)];
/** Ids that try to reach over: into prefixes, machines, tags. */
const IDS = ["x", "a:x", "{completion}x", "coord:a:{completion}x", "}{", "b:{kv}x", "../b/x", "a", ""];
const OPS = 1_200;

let worker: WorkerProcess;
let call: Client;

beforeAll(async () => {
  worker = await startWorker({ vars: { COORDINATOR_TOKEN: SINGLE, COORDINATOR_TOKENS: JSON.stringify(TENANTS) } });
  call = clientOf(worker.url);
});
afterAll(() => worker.close());

/** mulberry32: the same sequence for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What one tenant has done, as he alone would see it. */
interface Own {
  readonly groups: Map<string, { total: number; acked: Set<string>; cancelled: boolean }>;
  readonly counters: Map<string, number>;
}

function isEnded(group: { total: number; acked: Set<string>; cancelled: boolean }): boolean {
  return group.cancelled || group.acked.size >= group.total;
}

it(`${OPS} random operations of four tenants over the same ids leak nothing`, async () => {
  const random = seeded(20_240_611);
  const owns = new Map<string, Own>(TOKENS.map((token) => [token, { groups: new Map(), counters: new Map() }]));
  const ids = IDS.filter((id) => id !== "");
  let leaks = 0;
  for (let i = 0; i < OPS; i++) {
    const token = TOKENS[random(TOKENS.length)] ?? SINGLE;
    const id = ids[random(ids.length)] ?? "x";
    const own = owns.get(token) as Own;
    if (!(await step({ token, id, own, kind: random(6), i }))) leaks++;
  }
  expect(leaks).toBe(0);
  // Each tenant has made some: silence would prove nothing.
  for (const { groups, counters } of owns.values()) expect([groups.size > 3, counters.size > 3]).toEqual([true, true]);
}, 60_000);

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
      const { json } = await call("POST", "/v1/run/kv/incr", { token, body: { id, input } });
      const value = (own.counters.get(id) ?? 0) + 1;
      own.counters.set(id, value);
      return json.output.result === String(value);
    }
    default: {
      const { json } = await call("POST", "/v1/run/kv/getInt", { token, body: { id, input: {} } });
      return json.output.result === String(own.counters.get(id) ?? 0);
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
