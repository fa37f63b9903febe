import { onUpstash } from "../arms/ours.js";
import type { Bench, Measure } from "../bench.js";
import { atMost, figure, type Result } from "../result.js";

const TASKS = 1_000_000;
const A_CALL = 1_000;
const CALLS_AT_ONCE = 4;
const MAX_BYTES = 2_000_000;

/** What a group of a million numbered tasks takes up once all of them were acked. */
export const indexedGroups: Measure = {
  name: "indexed-groups",
  title: `A group of ${TASKS.toLocaleString("en")} tasks that are numbers`,
  async run(bench) {
    return [await onRedis(bench), await inObject(bench)];
  },
};

const WHAT = "all acked, a thousand a call";

async function onRedis({ lab, progress }: Bench): Promise<Result> {
  await lab.clear();
  await lab.setRtt(0);
  const { groups } = onUpstash(lab.rest);
  await groups.register("indexed", { indexed: TASKS });
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < TASKS) {
      const from = next;
      next += A_CALL;
      await groups.ack("indexed", numbersFrom(from));
      if (from % 200_000 === 0) progress(`${from.toLocaleString("en")} acked`);
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, client));
  const { state } = (await groups.status("indexed")) ?? {};
  if (state !== "completed") throw new Error("the group is not complete");
  const [key = ""] = await lab.redis.keys("*:completion:indexed");
  const bytes = (await lab.redis.memory("USAGE", key, "SAMPLES", 0)) ?? Number.NaN;
  await lab.clear();
  return figure(bytes, "bytes", { what: WHAT, arm: "ours, Redis", target: atMost(MAX_BYTES), note: "MEMORY USAGE" });
}

async function inObject({ lab: { worker } }: Bench): Promise<Result> {
  const group = `indexed-${crypto.randomUUID()}`;
  await worker.do("register", { group, tasks: TASKS, indexed: true });
  for (let from = 0; from < TASKS; from += 10 * A_CALL)
    await worker.do("ackNumbers", { group, from, to: from + 10 * A_CALL });
  const { bytes } = await worker.do("databaseBytes", { group });
  const note = "SQLite's databaseSize";
  return figure(bytes, "bytes", { what: WHAT, arm: "ours, Durable Object", target: atMost(MAX_BYTES), note });
}

function numbersFrom(from: number): number[] {
  return Array.from({ length: A_CALL }, (_, n) => from + n);
}
