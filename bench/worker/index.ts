import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { INDEX_TAG } from "../../src/backends/durable-object/protocol.js";
import { CompletionTracker } from "../../src/index.js";
import { placeOf } from "../../src/runtime/placement.js";
import { createWorker, type WorkerEnv } from "../../worker/index.js";
import type { BareObject } from "./bare-object.js";
import type { BenchCoordinator } from "./bench-coordinator.js";
import { BARE_PATH, JOB_PATH, type JobName, type Jobs, type Load } from "./jobs.js";
import { lateness } from "./lateness.js";
import { bareLockOnce, limitOnce, lockOnce } from "./turns.js";

export { BareObject } from "./bare-object.js";
export { BenchCoordinator } from "./bench-coordinator.js";

interface BenchEnv extends WorkerEnv {
  readonly COORDINATOR: DurableObjectNamespace<BenchCoordinator>;
  readonly BARE: DurableObjectNamespace<BareObject>;
}

type JobTable = { readonly [N in JobName]: (env: BenchEnv, input: Jobs[N]["takes"]) => Promise<Jobs[N]["gives"]> };

const A_CALL = 1_000;
const ALARM_WINDOW_MS = 1_000;
const ALARM_TIMEOUT_MS = 20_000;

const jobs: JobTable = {
  bare: async (env, load) => {
    await concurrently(load, () => bareObject(env).hit());
    return {};
  },
  register: async (env, { group, tasks, indexed, keyPrefix }) =>
    tracker(env, keyPrefix).register(group, indexed ? { indexed: Number(tasks) } : tasks, { timeoutSec: 0 }),
  ackNumbers: async (env, { group, from, to }) => {
    for (let n = from; n < to; n += A_CALL) {
      await tracker(env).ack(
        group,
        Array.from({ length: Math.min(A_CALL, to - n) }, (_, i) => n + i),
      );
    }
    return {};
  },
  acks: async (env, { group, keyPrefix, ...load }) => {
    const own = tracker(env, keyPrefix);
    await concurrently(load, (n) => own.ack(group, String(n)));
    return {};
  },
  burst: async (env, { group, from, operations }) => {
    await groupObject(env, group).burst(group, from, operations);
    return {};
  },
  rowsWritten: async (env, { group, task }) => ({ rows: await groupObject(env, group).rowsWritten(group, task) }),
  rowsOfGroup: async (env, { group, tasks, isIndexed }) => groupObject(env, group).rowsOfGroup(group, tasks, isIndexed),
  rowsAmong: async (env, { records }) => ({
    rows: await groupObject(env, `among-${crypto.randomUUID()}`).rowsAmong(records),
  }),
  limits: async (env, load) => {
    const coordinator = coordinatorOf(env);
    await concurrently(load, () => limitOnce(coordinator));
    return {};
  },
  locks: async (env, load) => {
    const coordinator = coordinatorOf(env);
    await concurrently(load, (_, client) => lockOnce(coordinator, `lock-${client}`));
    return {};
  },
  bareLocks: async (env, load) => {
    await concurrently(load, (_, client) => bareLockOnce(bareObject(env, `lock-${client}`), "lock"));
    return {};
  },
  rowsOfTurns: async (env) => ({
    ...(await groupObject(env, "turns").rowsOfTurns()),
    bareLock: await bareObject(env, "rows").rowsOfLock(),
  }),
  addLines: async (env, { keyPrefix, lines }) => {
    const { COORDINATOR } = env;
    await tracker(env, keyPrefix).register("first", 0);
    await coordinatorOf(env, keyPrefix).reindex("completion", "first");
    await COORDINATOR.get(COORDINATOR.idFromName(keyPrefix + INDEX_TAG)).addLines(lines);
    return {};
  },
  pages: async (env, { keyPrefix, ...load }) => {
    const own = tracker(env, keyPrefix);
    await concurrently(load, async () => {
      const { items } = await own.list({ state: "ended", limit: 50 });
      if (items.length !== 50) throw new Error("the page is not full");
    });
    return {};
  },
  databaseBytes: async (env, { group }) => ({ bytes: await groupObject(env, group).databaseBytes() }),
  alarms: async (env, { alarms }) => {
    lateness.groups = [];
    lateness.bare = [];
    const own = tracker(env);
    for (let n = 0; n < alarms; n++) {
      const inMs = 100 + Math.floor((n * ALARM_WINDOW_MS) / alarms);
      await own.register(`late-${crypto.randomUUID()}`, 1, {
        timeoutSec: inMs / 1_000,
        onTimeout: { handler: "bell" },
      });
      await env.BARE.get(env.BARE.newUniqueId()).ring(Date.now() + inMs);
    }
    const endsAtMs = Date.now() + ALARM_TIMEOUT_MS;
    while (Math.min(lateness.groups.length, lateness.bare.length) < alarms && Date.now() < endsAtMs) await pause(50);
    return lateness;
  },
};

function coordinatorOf(env: BenchEnv, keyPrefix = "coord:"): DurableObjectCoordinator {
  return new DurableObjectCoordinator({ namespace: env.COORDINATOR, keyPrefix });
}

function tracker(env: BenchEnv, keyPrefix?: string): CompletionTracker {
  return new CompletionTracker(coordinatorOf(env, keyPrefix));
}

function groupObject({ COORDINATOR }: BenchEnv, group: string) {
  return COORDINATOR.get(COORDINATOR.idFromName(`coord:${placeOf("completion", group)}`));
}

function bareObject({ BARE }: BenchEnv, name = "bare") {
  return BARE.get(BARE.idFromName(name));
}

async function concurrently(
  { operations, clients }: Load,
  operation: (n: number, client: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const work = async (client: number): Promise<void> => {
    while (next < operations) await operation(next++, client);
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const library = createWorker<BenchEnv>();

export default {
  async fetch(request: Request, env: BenchEnv): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith(JOB_PATH)) return library.fetch(request, env);
    if (pathname === BARE_PATH) return Response.json({ n: await bareObject(env).hit() });
    const job = jobs[pathname.slice(JOB_PATH.length) as JobName] as (env: BenchEnv, input: unknown) => Promise<object>;
    return Response.json(await job(env, await request.json()));
  },
};
