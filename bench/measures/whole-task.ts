import { PollingCompletion } from "../../test/polling/completion.js";
import { BullMqFlow } from "../arms/bullmq.js";
import { Instances, onUpstash, onWorker } from "../arms/ours.js";
import { PipelinedPolling, PollingArm } from "../arms/polling.js";
import type { Bench, Measure } from "../bench.js";
import { atLeast, type Result, ratio } from "../result.js";
import { CLIENTS, type Contender, concurrently, race } from "../rounds.js";
import { ratios, spreadOf } from "../statistics.js";
import { WorkerCalls } from "../worker-calls.js";

const POLLING = "polling design";
const MANY = 1_000_000_000;
/** By how much faster, at which distance. */
const TARGETS: readonly { readonly rttMs: number; readonly times?: number }[] = [
  { rttMs: 0, times: 5 },
  { rttMs: 5 },
  { rttMs: 30, times: 8 },
];

/** A task that is done: the group, the request and the counts hear of it. */
export const wholeTask: Measure = {
  name: "whole-task",
  title: `A whole task (acked, marked done, counted), ${CLIENTS} clients`,
  chart: "Whole tasks a second, over the polling design",
  async run(bench) {
    const results: Result[] = [];
    for (const { rttMs, times } of TARGETS) {
      bench.progress(`at ${rttMs} ms`);
      await bench.lab.setRtt(rttMs);
      results.push(...(await at(bench, rttMs, times)));
    }
    await bench.lab.setRtt(0);
    return results;
  },
};

async function at(bench: Bench, rttMs: number, faster: number | undefined): Promise<Result[]> {
  const { lab } = bench;
  const contenders = [...contendersOf(bench), ...(rttMs === 0 ? [flows(bench)] : [])];
  const taken = await race(bench, contenders);
  const polling = taken.get(POLLING) ?? [];
  await lab.clear();
  return contenders
    .filter(({ name }) => name !== POLLING)
    .map(({ name }) => {
      const what = `whole tasks over the polling design, at ${rttMs} ms`;
      const target = name.startsWith("ours") && faster !== undefined ? atLeast(faster) : undefined;
      return ratio(spreadOf(ratios(polling, taken.get(name) ?? [])), { what, arm: name, target });
    });
}

function contendersOf({ lab }: Bench): Contender[] {
  const polling = new PollingArm(lab.restGateway);
  const pipelined = new PipelinedPolling(lab.restGateway);
  const bare = new WorkerCalls(lab.workerGateway.url);
  const prepare = () => lab.redis.set(PollingCompletion.counterKey("g"), MANY);
  return [
    { name: POLLING, prepare, run: (count) => concurrently(count, (n) => polling.task("g", "r", `${n}`)) },
    {
      name: "polling design, pipelined",
      prepare,
      run: (count) => concurrently(count, (n) => pipelined.task("g", "r", `${n}`)),
    },
    { name: "bare Durable Object over HTTP, one call", run: (count) => concurrently(count, () => bare.hit()) },
    ...ours("Redis over REST", new Instances(() => onUpstash(lab.restGateway), CLIENTS)),
    ...ours("Worker over HTTP", new Instances(() => onWorker(lab.workerGateway), CLIENTS)),
  ];
}

/** How many tasks one call adds at most. */
const MAX_ADDED = 1_000;

/** One ack tells group, waiter and counts; or three trackers are told, as in the polling design, but at once. */
function ours(where: string, instances: Instances): Contender[] {
  const arm = instances.of(0);
  let id = "";
  const prepare = async (operations: number): Promise<void> => {
    id = crypto.randomUUID();
    await arm.groups.register(id, MANY);
    await arm.requests.register(id);
    // One task more than there are operations keeps the request open.
    const tasks = Array.from({ length: operations + 1 }, (_, n) => `${n}`);
    for (let from = 0; from < tasks.length; from += MAX_ADDED) {
      await arm.requests.add(id, "work", tasks.slice(from, from + MAX_ADDED));
    }
  };
  return [
    {
      name: `ours, one ack, ${where}`,
      prepare,
      run: (count) => concurrently(count, (n, client) => instances.of(client).groups.ack(id, `${n}`)),
    },
    {
      name: `ours, three trackers, ${where}`,
      prepare,
      run: (count) => concurrently(count, (n, client) => instances.of(client).task(id, id, `${n}`)),
    },
  ];
}

/** Queueing is not timed: the others' tasks are not queued here either. */
function flows({ lab }: Bench): Contender {
  let flow: BullMqFlow | undefined;
  return {
    name: "BullMQ flow, over TCP",
    prepare: async (operations) => {
      flow = new BullMqFlow(lab.redisAddress);
      await flow.add(operations);
    },
    run: async () => flow?.work(),
  };
}
