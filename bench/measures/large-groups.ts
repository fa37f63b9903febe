import { onUpstash } from "../arms/ours.js";
import type { Bench, Measure } from "../bench.js";
import { atMost, figure, type Result, ratio } from "../result.js";
import { concurrently } from "../rounds.js";
import { median, ratios, spreadOf } from "../statistics.js";

const SMALL = 1_000;
const LARGE = 100_000;
/** Acks a round: nearly all of the small group, another part of the large one. */
const ACKS = 900;
const CLIENTS = 8;

/** What an ack and a registration cost, and what a task takes up, in a group with a hundred times as many names. */
export const largeGroups: Measure = {
  name: "large-groups",
  title: `An ack in a group of ${LARGE.toLocaleString("en")} named tasks`,
  async run(bench) {
    const redis = [...(await onRedis(bench)), ...(await registrationOnRedis(bench))];
    const object = await inObject(bench);
    await bench.lab.clear();
    return [...redis, ...object];
  },
};

function names(count: number): string[] {
  return Array.from({ length: count }, (_, n) => String(n));
}

/** Both sizes in turn, in another order each round; the figures of the large over those of the small. */
async function alternate(
  { scale, random, progress }: Bench,
  turns: { readonly small: Turn; readonly large: Turn },
): Promise<number[]> {
  const taken = { small: [] as number[], large: [] as number[] };
  for (let round = 0; round < scale.rounds; round++) {
    progress(`round ${round + 1} of ${scale.rounds}`);
    for (const size of random.shuffle(["small", "large"] as const)) taken[size].push(await turns[size](round));
  }
  return ratios(taken.large, taken.small);
}

type Turn = (round: number) => Promise<number>;

const WHAT = `an ack of ${LARGE.toLocaleString("en")} tasks over one of ${SMALL.toLocaleString("en")}`;

async function onRedis(bench: Bench): Promise<Result[]> {
  const { lab } = bench;
  await lab.clear();
  const { groups } = onUpstash(lab.rest);
  await groups.register("large", names(LARGE));
  const bytes = await lab.redis.memory("USAGE", await keyOf(bench, "large"), "SAMPLES", 0);
  const acking = async (group: string, from: number): Promise<number> => {
    await lab.commands.reset();
    await concurrently(ACKS, (n) => groups.ack(group, String(from + n)), CLIENTS);
    return lab.commands.microsecondsPerScript();
  };
  const grown = await alternate(bench, {
    large: (round) => acking("large", LARGE / 2 + round * ACKS),
    small: async (round) => {
      await groups.register(`small-${round}`, names(SMALL));
      return acking(`small-${round}`, 0);
    },
  });
  const arm = "ours, Redis";
  await groups.register("full", names(SMALL));
  await groups.ack("full", names(SMALL));
  const full = await lab.redis.memory("USAGE", await keyOf(bench, "full"), "SAMPLES", 0);
  return [
    ratio(spreadOf(grown), { what: `the server's time, ${WHAT}`, arm, target: atMost(1.5) }),
    figure((bytes ?? 0) / LARGE, "bytes", { what: "memory a task, registered", arm, note: "MEMORY USAGE" }),
    figure((full ?? 0) / SMALL, "bytes", { what: "memory a task, acked", arm, note: "MEMORY USAGE, 1,000 tasks" }),
  ];
}

/** What a registration takes on the server: no other command runs meanwhile. */
async function registrationOnRedis(bench: Bench): Promise<Result[]> {
  const { lab } = bench;
  const { groups } = onUpstash(lab.rest);
  const largest: number[] = [];
  const registering = async (label: string, count: number): Promise<number> => {
    await groups.register(`script-of-${label}`, names(1));
    await lab.commands.reset();
    await groups.register(label, names(count));
    const microseconds = await lab.commands.microsecondsPerScript();
    if (count === LARGE) largest.push(microseconds / 1_000);
    await groups.remove(label);
    return microseconds / count;
  };
  const grown = await alternate(bench, {
    large: (round) => registering(`registered-large-${round}`, LARGE),
    small: (round) => registering(`registered-small-${round}`, SMALL),
  });
  const arm = "ours, Redis";
  const many = LARGE.toLocaleString("en");
  return [
    ratio(spreadOf(grown), {
      what: `the server's time a task, a registration of ${many} tasks over one of ${SMALL.toLocaleString("en")}`,
      arm,
      target: atMost(1.5),
    }),
    figure(median(largest), "ms", { what: `how long a registration of ${many} tasks blocks the server`, arm }),
  ];
}

async function keyOf({ lab }: Bench, group: string): Promise<string> {
  const [key] = await lab.redis.keys(`*:completion:${group}`);
  if (key === undefined) throw new Error("the group has no key");
  return key;
}

async function inObject(bench: Bench): Promise<Result[]> {
  const { worker } = bench.lab;
  const run = crypto.randomUUID();
  const large = `large-${run}`;
  await worker.do("register", { group: large, tasks: names(LARGE) });
  const { bytes } = await worker.do("databaseBytes", { group: large });
  const burst = async (group: string, from: number): Promise<number> => {
    const startedMs = performance.now();
    await worker.do("burst", { group, from, operations: ACKS });
    return performance.now() - startedMs;
  };
  const grown = await alternate(bench, {
    large: (round) => burst(large, LARGE / 2 + round * ACKS),
    small: async (round) => {
      const group = `small-${round}-${run}`;
      await worker.do("register", { group, tasks: names(SMALL) });
      return burst(group, 0);
    },
  });
  const arm = "ours, Durable Object";
  return [
    ratio(spreadOf(grown), {
      what: `time in the object, ${WHAT}`,
      arm,
      target: atMost(1.5),
      note: `${ACKS} acks in one turn of the object`,
    }),
    figure(bytes / LARGE, "bytes", { what: "memory a task, registered", arm, note: "SQLite's databaseSize" }),
  ];
}
