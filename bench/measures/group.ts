import { PollingCompletion } from "../../test/polling/completion.js";
import { PollingRequestWait } from "../../test/polling/request-wait.js";
import { BullMqFlow } from "../arms/bullmq.js";
import { Instances, type OurArm, onUpstash, onWorker } from "../arms/ours.js";
import { PipelinedPolling, PollingArm } from "../arms/polling.js";
import type { Bench, Measure } from "../bench.js";
import { Deferred } from "../deferred.js";
import type { Lab } from "../lab.js";
import { atMost, figure, type Result } from "../result.js";
import { CLIENTS, concurrently } from "../rounds.js";

const TASKS = 1_000;
const BATCH = 100;
const RTT_MS = 5;
const ONE_BY_ONE = "ours, one by one, Redis over REST";
const BATCHES = `ours, ${BATCH} a call, Redis over REST`;
const POLLING = "polling design";

/** A group of 1,000 tasks and one that waits for it, from the registration to the answer. */
export const group: Measure = {
  name: "group",
  title: `A group of ${TASKS.toLocaleString("en")} tasks and one waiter, at ${RTT_MS} ms`,
  async run(bench) {
    const { lab } = bench;
    await lab.setRtt(RTT_MS);
    const counted = new Map<string, Counted>();
    for (const [arm, run] of bench.random.shuffle(Object.entries(arms))) {
      bench.progress(arm);
      counted.set(arm, await count(lab, () => run(bench)));
    }
    await lab.setRtt(0);
    return Object.keys(arms).flatMap((arm) => resultsOf(arm, counted));
  },
};

interface Counted {
  readonly requests: number;
  readonly commands: number;
}

async function count(lab: Lab, work: () => Promise<unknown>): Promise<Counted> {
  await lab.clear();
  await lab.counts();
  await lab.commands.reset();
  await work();
  return { requests: (await lab.counts()).requests, commands: await lab.commands.total() };
}

const targets: Record<string, { readonly requests: number; readonly share?: number } | undefined> = {
  [ONE_BY_ONE]: { requests: 1_010, share: 1 / 2 },
  [BATCHES]: { requests: 15, share: 1 / 50 },
  "ours, one by one, Worker over HTTP": { requests: 1_010 },
  "ours, 100 a call, Worker over HTTP": { requests: 15 },
};

function resultsOf(arm: string, counted: ReadonlyMap<string, Counted>): Result[] {
  const { requests, commands } = counted.get(arm) ?? { requests: 0, commands: 0 };
  const polling = counted.get(POLLING)?.commands ?? Number.NaN;
  const target = targets[arm];
  const results: Result[] = [];
  if (requests > 0) {
    const most = target && atMost(target.requests);
    results.push(figure(requests, "requests", { what: "HTTP requests for the group", arm, target: most }));
  }
  if (commands > 0) {
    const what = "Redis commands for the group, inner ones of scripts too";
    results.push(figure(commands, "commands", { what, arm }));
    const share = target?.share === undefined ? undefined : atMost(target.share);
    results.push(figure(commands / polling, "×", { what: `${what}, over the polling design's`, arm, target: share }));
  }
  return results;
}

const ids = Array.from({ length: TASKS }, (_, n) => `task-${n}`);

const arms: Readonly<Record<string, (bench: Bench) => Promise<unknown>>> = {
  [POLLING]: ({ lab }) => polled(new PollingArm(lab.restGateway), true),
  "polling design, acks alone": ({ lab }) => polled(new PollingArm(lab.restGateway), false),
  "polling design, pipelined": ({ lab }) => pipelined(new PipelinedPolling(lab.restGateway)),
  "BullMQ flow, over TCP": async ({ lab }) => {
    const flow = new BullMqFlow(lab.redisAddress);
    await flow.add(TASKS);
    await flow.work();
  },
  [ONE_BY_ONE]: ({ lab }) => ours(() => onUpstash(lab.restGateway), 1),
  "ours, three trackers a task, Redis over REST": ({ lab }) => oursInThree(() => onUpstash(lab.restGateway)),
  [BATCHES]: ({ lab }) => ours(() => onUpstash(lab.restGateway), BATCH),
  "ours, one by one, Worker over HTTP": ({ lab }) => ours(() => onWorker(lab.workerGateway), 1),
  "ours, 100 a call, Worker over HTTP": ({ lab }) => ours(() => onWorker(lab.workerGateway), BATCH),
};

/** The ack counts what was done, and the waiter waits for the group itself. */
async function ours(make: () => OurArm, batch: number): Promise<void> {
  const instances = new Instances(make, CLIENTS);
  const { groups } = instances.of(0);
  await groups.register("g", ids);
  const answered = groups.wait("g");
  if (batch === 1) await concurrently(TASKS, (n, client) => instances.of(client).groups.ack("g", ids[n] ?? ""));
  else for (let n = 0; n < TASKS; n += batch) await groups.ack("g", ids.slice(n, n + batch));
  await answered;
}

/** As the polling design has it: group, request and counts are three things, and each task tells all of them. */
async function oursInThree(make: () => OurArm): Promise<void> {
  const instances = new Instances(make, CLIENTS);
  const arm = instances.of(0);
  await arm.groups.register("g", ids);
  await arm.requests.register("r");
  await arm.requests.add("r", "work", ids);
  const answered = arm.requests.wait("r");
  await concurrently(TASKS, (n, client) => instances.of(client).task("g", "r", ids[n] ?? ""));
  await answered;
}

/** `whole`: each task is acked, marked done and counted. Otherwise it is acked alone, and the group's end marks the one root. */
async function polled(arm: PollingArm, whole: boolean): Promise<void> {
  const { completion, requests } = arm;
  const completed = new Deferred();
  await requests.registerRequest("r");
  const roots = whole ? ids : ["g"];
  await concurrently(roots.length, (n) => requests.registerRoot("r", roots[n] ?? ""));
  const onComplete = async (): Promise<void> => {
    if (!whole) await requests.markDone("r", "g");
    completed.resolve();
  };
  await completion.register("g", TASKS, { onComplete });
  completion.start();
  const answered = requests.wait("r", 60_000);
  await concurrently(TASKS, (n) => (whole ? arm.task("g", "r", ids[n] ?? "") : completion.ack("g")));
  await Promise.all([answered, completed.promise]);
  completion.stop();
}

async function pipelined(arm: PipelinedPolling): Promise<void> {
  const { pending } = PollingRequestWait.keysOf("r");
  await arm.send(["SADD", pending, ...ids], ["SET", PollingCompletion.counterKey("g"), String(TASKS)]);
  const answered = until(50, () => arm.isComplete("r"));
  const completed = until(500, () => arm.tick("g"));
  await concurrently(TASKS, (n) => arm.task("g", "r", ids[n] ?? ""));
  await Promise.all([answered, completed]);
}

async function until(pauseMs: number, isOver: () => Promise<boolean>): Promise<void> {
  while (!(await isOver())) await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
