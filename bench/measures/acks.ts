import { PollingCompletion } from "../../test/polling/completion.js";
import { ack, counter, load } from "../arms/hand-written.js";
import { Instances, onMemory, onUpstash, onWorker } from "../arms/ours.js";
import { bareRedis, PipelinedPolling, PollingArm } from "../arms/polling.js";
import type { Measure } from "../bench.js";
import { atLeast, type Result, ratio, type Target } from "../result.js";
import { CLIENTS, type Contender, concurrently, race, type Times } from "../rounds.js";
import { ratios, spreadOf } from "../statistics.js";

const INCR = "bare INCR, the same client";
const OBJECT = "bare Durable Object RPC";
const OVER_HTTP = "bare Durable Object over HTTP";
/** More than a turn ever acks: the group stays open. */
const MANY = 1_000_000_000;

/** How many acks a second, beside the least that the same way can carry. */
export const acks: Measure = {
  name: "acks",
  title: `Acks of one group by ${CLIENTS} clients at once`,
  chart: "Acks a second, over the bare call: 1 is as fast",
  async run(bench) {
    const { lab } = bench;
    await lab.setRtt(0);
    const bare = bareRedis(lab.rest);
    const joined = bareRedis(lab.rest, true);
    const byHand = { counter: await load(lab.redis, counter), ack: await load(lab.redis, ack) };
    const polling = new PollingArm(lab.rest);
    const pipelined = new PipelinedPolling(lab.rest);
    const registerPolled = () => lab.redis.set(PollingCompletion.counterKey("g"), MANY);
    const { worker } = lab;
    let group = "";
    const times = await race(bench, [
      { name: INCR, run: (operations) => concurrently(operations, () => bare.incr("n")) },
      { name: "INCR, joined by the client", run: (operations) => concurrently(operations, () => joined.incr("n")) },
      {
        name: "hand-written script, a counter",
        run: (operations) => concurrently(operations, (n) => byHand.counter(bare, "g", `${n}`)),
      },
      {
        name: "hand-written script, an ack",
        run: (operations) => concurrently(operations, (n) => byHand.ack(bare, "g", `${n}`)),
      },
      {
        name: "polling design",
        prepare: registerPolled,
        run: (operations) => concurrently(operations, () => polling.completion.ack("g")),
      },
      {
        name: "polling design, pipelined",
        prepare: registerPolled,
        run: (operations) => concurrently(operations, () => pipelined.ack("g")),
      },
      ackingBy("ours, Redis over REST", new Instances(() => onUpstash(lab.rest), CLIENTS)),
      ackingBy("ours, joined by one coordinator", new Instances(() => onUpstash(lab.rest), 1)),
      ackingBy("ours, memory", new Instances(onMemory, 1)),
      { name: OBJECT, run: (operations) => worker.do("bare", { operations, clients: CLIENTS }) },
      {
        name: "ours, Durable Object",
        prepare: () => {
          group = `acks-${crypto.randomUUID()}`;
          return worker.do("register", { group, tasks: MANY });
        },
        run: (operations) => worker.do("acks", { group, operations, clients: CLIENTS }),
      },
      { name: OVER_HTTP, run: (operations) => concurrently(operations, () => worker.hit()) },
      ackingBy("ours, Worker over HTTP", new Instances(() => onWorker(lab.workerDirect), CLIENTS)),
    ]);
    return [
      ...over(times, INCR, [
        ["INCR, joined by the client", undefined],
        ["hand-written script, a counter", undefined],
        ["hand-written script, an ack", undefined],
        ["polling design", undefined],
        ["polling design, pipelined", undefined],
        ["ours, Redis over REST", atLeast(0.7)],
        ["ours, joined by one coordinator", undefined],
        ["ours, memory", undefined],
      ]),
      ...over(times, OBJECT, [["ours, Durable Object", atLeast(0.8)]]),
      ...over(times, OVER_HTTP, [["ours, Worker over HTTP", undefined]]),
    ];
  },
};

function ackingBy(name: string, instances: Instances): Contender {
  let group = "";
  return {
    name,
    prepare: () => {
      group = `acks-${crypto.randomUUID()}`;
      return instances.of(0).groups.register(group, MANY);
    },
    run: (operations) => concurrently(operations, (n, client) => instances.of(client).groups.ack(group, String(n))),
  };
}

/** How much faster than the floor each arm is; slower ones have less than 1. */
function over(times: Times, floor: string, arms: readonly (readonly [string, Target | undefined])[]): Result[] {
  return arms.map(([arm, target]) => {
    const speed = spreadOf(ratios(times.get(floor) ?? [], times.get(arm) ?? []));
    return ratio(speed, { what: `throughput over: ${floor}`, arm, target });
  });
}
