import { onUpstash, onWorker } from "../arms/ours.js";
import type { Bench, Measure } from "../bench.js";
import type { FrontCounts } from "../hosts/front.js";
import type { Lab } from "../lab.js";
import { atMost, figure, type Result, ratio } from "../result.js";
import { ratios, type Spread, spreadOf } from "../statistics.js";

const CROWDS = [10, 100, 1_000] as const;
const FEW = CROWDS[0];
/** A crowd has settled when no request comes for so long. */
const QUIET_MS = 150;
const RTT_MS = 5;
/** What a waiter's share may grow by from ten to a thousand, where it is to stay flat. */
const FLAT = 1.5;
const ARMS = {
  "ours, Redis over REST": ({ lab }: Bench) => onUpstash(lab.restGateway),
  "ours, Worker over HTTP": ({ lab }: Bench) => onWorker(lab.workerGateway),
};
type Arm = keyof typeof ARMS;

interface Cost {
  readonly requests: number;
  readonly streams: number;
  /** From the mark to the last waiter's answer, for one waiter. */
  readonly ms: number;
}

/** Many that wait for one request: what each of them costs. */
export const waiters: Measure = {
  name: "waiters",
  title: `Many waiters on one request, at ${RTT_MS} ms`,
  async run(bench) {
    await bench.lab.setRtt(RTT_MS);
    const turns = (Object.keys(ARMS) as Arm[]).flatMap((arm) => CROWDS.map((crowd) => ({ arm, crowd })));
    const costs = new Map<string, Cost[]>(turns.map(({ arm, crowd }) => [`${arm}/${crowd}`, []]));
    for (let round = 0; round < bench.scale.rounds; round++) {
      bench.progress(`round ${round + 1} of ${bench.scale.rounds}`);
      for (const { arm, crowd } of bench.random.shuffle(turns)) {
        costs.get(`${arm}/${crowd}`)?.push(await crowdOf(bench, arm, crowd));
      }
    }
    await bench.lab.setRtt(0);
    return (Object.keys(ARMS) as Arm[]).flatMap((arm) => resultsOf(arm, (crowd) => costs.get(`${arm}/${crowd}`) ?? []));
  },
};

function resultsOf(arm: Arm, costsOf: (crowd: number) => readonly Cost[]): Result[] {
  const most = (crowd: number, of: (cost: Cost) => number): number => Math.max(...costsOf(crowd).map(of));
  const times = (crowd: number): number[] => costsOf(crowd).map(({ ms }) => ms);
  const grown = (crowd: number): Spread => spreadOf(ratios(times(crowd), times(FEW)));
  return CROWDS.flatMap((crowd) => {
    const of = `of ${crowd.toLocaleString("en")} waiters`;
    const requests = most(crowd, (cost) => cost.requests) / crowd;
    const results = [figure(requests, "requests", { what: `HTTP requests a waiter, ${of}`, arm })];
    if (arm === "ours, Redis over REST") {
      const streams = most(crowd, (cost) => cost.streams);
      results.push(figure(streams, "streams", { what: `subscriptions ${of}`, arm, target: atMost(1) }));
    }
    if (crowd !== FEW) {
      const what = `time a waiter ${of}, over that of ${FEW}`;
      results.push(ratio(grown(crowd), { what, arm, target: atMost(FLAT) }));
    }
    return results;
  });
}

async function crowdOf(bench: Bench, name: Arm, crowd: number): Promise<Cost> {
  const { lab } = bench;
  const { requests } = ARMS[name](bench);
  const id = crypto.randomUUID();
  await requests.register(id);
  await requests.add(id, "work", "task");
  await lab.counts();
  const all = Promise.all(Array.from({ length: crowd }, () => requests.wait(id)));
  const before = await settled(lab);
  const sentMs = performance.now();
  await requests.ack(id, "work", "task");
  await all;
  const ms = (performance.now() - sentMs) / crowd;
  const after = await lab.counts();
  // Without the one that marks.
  return { ms, streams: before.streams + after.streams, requests: before.requests + after.requests - 1 };
}

/** Waits until everybody waits; what that took. */
async function settled(lab: Lab): Promise<FrontCounts> {
  const total = { requests: 0, streams: 0 };
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const { requests, streams } = await lab.counts();
    if (requests === 0) return total;
    total.requests += requests;
    total.streams += streams;
  }
}
