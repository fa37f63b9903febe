import { ack, counter, load } from "../arms/hand-written.js";
import { onUpstash } from "../arms/ours.js";
import { bareRedis } from "../arms/polling.js";
import type { Measure } from "../bench.js";
import { atMost, figure, ratio } from "../result.js";
import { concurrently } from "../rounds.js";
import { median, ratios, spreadOf } from "../statistics.js";

const OURS = "ours, an ack";
const BY_HAND = "hand-written script, an ack";
const COUNTER = "hand-written script, a counter";
/** Few: what counts is the server's own time. */
const CLIENTS = 8;

/** What a call takes on redis-server, by its own clock. */
export const scripts: Measure = {
  name: "scripts",
  title: "A script's time on redis-server",
  async run(bench) {
    const { lab, scale } = bench;
    const { groups } = onUpstash(lab.rest);
    const redis = bareRedis(lab.rest);
    const byHand = { counter: await load(lab.redis, counter), ack: await load(lab.redis, ack) };
    const turns: Record<string, (n: number) => Promise<unknown>> = {
      [OURS]: (n) => groups.ack("g", `${n}`),
      [BY_HAND]: (n) => byHand.ack(redis, "g", `${n}`),
      [COUNTER]: (n) => byHand.counter(redis, "g", `${n}`),
    };
    const taken = new Map<string, number[]>(Object.keys(turns).map((arm) => [arm, []]));
    for (let round = 1; round <= scale.rounds; round++) {
      bench.progress(`round ${round} of ${scale.rounds}`);
      for (const [arm, operation] of bench.random.shuffle(Object.entries(turns))) {
        await lab.clear();
        await groups.register("g", 1_000_000_000);
        await lab.commands.reset();
        await concurrently(scale.calls, operation, CLIENTS);
        taken.get(arm)?.push(await lab.commands.microsecondsPerScript());
      }
    }
    const of = (arm: string): readonly number[] => taken.get(arm) ?? [];
    const what = "the server's time a call";
    return [
      ratio(spreadOf(ratios(of(OURS), of(BY_HAND))), {
        what: `${what}, over: ${BY_HAND}`,
        arm: OURS,
        target: atMost(2),
      }),
      ...Object.keys(turns).map((arm) => figure(median(of(arm)), "µs", { what, arm })),
    ];
  },
};
