import { type OurArm, onMemory, onUpstash, onWorker } from "../arms/ours.js";
import { PollingArm } from "../arms/polling.js";
import type { Bench, Measure } from "../bench.js";
import { Deferred } from "../deferred.js";
import { atLeast, atMost, figure, type Result, ratio } from "../result.js";
import { median, quantile, ratios, spreadOf } from "../statistics.js";

const POLLING = "polling design";
/** Less than this is the clock's own noise. */
const LEAST_MS = 0.05;
/** How long a waiter has to begin its wait, besides some round trips. */
const SETTLE_MS = 40;
/** The polling design's own pauses: its trials begin anywhere in them. */
const TICK_MS = 500;
const POLLED_AT_ONCE = 5;

/** From the moment that the last ack is sent to the moment that the waiter has its answer. */
export const wait: Measure = {
  name: "wait",
  title: "From the last ack to the waiter's answer",
  chart: "How much sooner a waiter has its answer than by polling, beyond one round trip",
  async run(bench) {
    const results: Result[] = [];
    for (const rttMs of [0, 5, 30]) {
      bench.progress(`at ${rttMs} ms`);
      await bench.lab.setRtt(rttMs);
      results.push(...(await at(bench, rttMs)));
    }
    await bench.lab.setRtt(0);
    return results;
  },
};

async function at(bench: Bench, rttMs: number): Promise<Result[]> {
  const { lab, scale } = bench;
  const arms: Record<string, (trials: number) => Promise<number[]>> = {
    [POLLING]: () => polled(bench),
    "ours, Redis over REST": (trials) => ours(onUpstash(lab.restGateway), trials, rttMs),
    "ours, Worker over HTTP": (trials) => ours(onWorker(lab.workerGateway), trials, rttMs),
    ...(rttMs === 0 ? { "ours, memory": (trials: number) => ours(onMemory(), trials, 0) } : {}),
  };
  const taken = new Map<string, number[][]>(Object.keys(arms).map((arm) => [arm, []]));
  for (let round = 0; round < scale.rounds; round++) {
    for (const [arm, run] of bench.random.shuffle(Object.entries(arms))) {
      await lab.clear();
      taken.get(arm)?.push(await run(Math.ceil(scale.waits / scale.rounds)));
    }
  }
  const overRtt = (arm: string): number[] =>
    (taken.get(arm) ?? []).map((round) => Math.max(LEAST_MS, median(round) - rttMs));
  return Object.keys(arms).flatMap((arm) => {
    const all = (taken.get(arm) ?? []).flat();
    const isOurs = arm !== POLLING;
    // In memory both are fractions of a millisecond, and the tail is the garbage collector's.
    const isLocal = arm === "ours, memory";
    const tail = quantile(all, 0.99) / median(all);
    const sooner = spreadOf(ratios(overRtt(POLLING), overRtt(arm)));
    const results = [
      figure(median(all), "ms", { what: `median, at ${rttMs} ms`, arm }),
      figure(tail, "×", {
        what: `p99 over p50, at ${rttMs} ms`,
        arm,
        target: isOurs && !isLocal ? atMost(5) : undefined,
      }),
    ];
    const what = `sooner than the polling design, beyond one round trip, at ${rttMs} ms`;
    return isOurs ? [ratio(sooner, { what, arm, target: atLeast(20) }), ...results] : results;
  });
}

async function ours({ groups }: OurArm, trials: number, rttMs: number): Promise<number[]> {
  const taken: number[] = [];
  for (let trial = 0; trial < trials; trial++) {
    const id = crypto.randomUUID();
    await groups.register(id, 1);
    const answered = groups.wait(id).then(() => performance.now());
    await pause(SETTLE_MS + 4 * rttMs);
    const sentMs = performance.now();
    await groups.ack(id, "last");
    taken.push((await answered) - sentMs);
  }
  return taken;
}

/** Several at once, each with pollers of its own: they mostly sleep. */
async function polled({ lab, scale, random }: Bench): Promise<number[]> {
  const taken: number[] = [];
  for (let left = Math.ceil(scale.polledWaits / scale.rounds); left > 0; left -= POLLED_AT_ONCE) {
    const trials = Array.from({ length: Math.min(left, POLLED_AT_ONCE) }, () =>
      polledOnce(new PollingArm(lab.restGateway), random.next() * TICK_MS),
    );
    taken.push(...(await Promise.all(trials)));
  }
  return taken;
}

async function polledOnce({ completion, requests }: PollingArm, delayMs: number): Promise<number> {
  const id = crypto.randomUUID();
  const marked = new Deferred();
  await requests.registerRequest(id);
  await requests.registerRoot(id, id);
  const onComplete = async (): Promise<void> => {
    await requests.markDone(id, id);
    marked.resolve();
  };
  await completion.register(id, 1, { onComplete });
  completion.start();
  const answered = requests.wait(id, 30_000).then(() => performance.now());
  await pause(SETTLE_MS + delayMs);
  const sentMs = performance.now();
  await completion.ack(id);
  const tookMs = (await answered) - sentMs;
  await marked.promise;
  completion.stop();
  return tookMs;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
