import { SHARDS } from "../../src/runtime/placement.js";
import { onUpstash } from "../arms/ours.js";
import type { Bench, Measure } from "../bench.js";
import { atMost, figure, type Result, ratio } from "../result.js";
import { concurrently, race } from "../rounds.js";
import { ratios, spreadOf } from "../statistics.js";

const FEW = 100;
const MANY = 100_000;
const PAGES = 20;
const ACKS = 400;
const CLIENTS = 8;
/** More than a turn ever acks: the group stays open. */
const TASKS = 1_000_000_000;

/** A page of a list, and an ack, with a thousand times as many groups in the index. */
export const lists: Measure = {
  name: "lists",
  title: `A page of 50 groups, and an ack, with ${MANY.toLocaleString("en")} groups in the index`,
  async run(bench) {
    const { lab, scale, progress } = bench;
    await lab.clear();
    const few = await figuresOf(bench, "few");
    progress(`${MANY} lines`);
    await addLines(bench);
    const many = await figuresOf(bench, "many");
    const bytes = await indexBytes(bench);
    await lab.clear();
    const [arm, note] = ["ours, Redis", `over ${FEW} groups; ${scale.rounds} rounds`];
    const target = atMost(1.5);
    const results: Result[] = [
      ratio(spreadOf(ratios(many.pages, few.pages)), { what: "the server's time, a page", arm, target, note }),
      ratio(spreadOf(ratios(many.acks, few.acks)), { what: "the server's time, an ack", arm, target, note }),
      figure(few.pages[0] ?? 0, "µs", { what: "the server's time, a page", arm, note: `of 50, ${FEW} groups` }),
      figure(bytes / MANY, "bytes", { what: "memory a group in the index", arm, note: "MEMORY USAGE" }),
    ];
    return [...results, ...(await inObject(bench))];
  },
};

/** The same in an index object with one shard. Contenders take turns, since the whole call is timed. */
async function inObject(bench: Bench): Promise<Result[]> {
  const { worker } = bench.lab;
  const prefixes = { few: `few-${crypto.randomUUID()}:`, many: `many-${crypto.randomUUID()}:` };
  await worker.do("addLines", { keyPrefix: prefixes.few, lines: FEW });
  await worker.do("addLines", { keyPrefix: prefixes.many, lines: MANY });
  const contenders = Object.entries(prefixes).flatMap(([label, keyPrefix]) => {
    const group = `acks-${crypto.randomUUID()}`;
    return [
      {
        name: `page, ${label}`,
        run: (operations: number) => worker.do("pages", { keyPrefix, operations, clients: CLIENTS }),
      },
      {
        name: `ack, ${label}`,
        prepare: () => worker.do("register", { group, tasks: TASKS, keyPrefix }),
        run: (operations: number) => worker.do("acks", { group, keyPrefix, operations, clients: CLIENTS }),
      },
    ];
  });
  const times = await race(bench, contenders);
  const [arm, note, target] = ["ours, Durable Object", `over ${FEW} groups; ${bench.scale.rounds} rounds`, atMost(1.5)];
  return ["page", "ack"].map((what) => {
    const [few = [], many = []] = ["few", "many"].map((label) => times.get(`${what}, ${label}`));
    const options = { what: `the time of a call, ${what === "page" ? "a page" : "an ack"}`, arm, target, note };
    return ratio(spreadOf(ratios(many, few)), options);
  });
}

/** Registers some groups before all others, and measures pages of them and acks of a new one, round by round. */
async function figuresOf({ lab, scale }: Bench, label: string): Promise<{ pages: number[]; acks: number[] }> {
  const { groups } = onUpstash(lab.rest);
  if (label === "few") await concurrently(FEW, (n) => groups.register(`g-${n}`, 1, { timeoutSec: 0 }), CLIENTS);
  const [pages, acks]: [number[], number[]] = [[], []];
  for (let round = 0; round < scale.rounds; round++) {
    await groups.list({ limit: 50 });
    await lab.commands.reset();
    for (let page = 0; page < PAGES; page++) await groups.list({ limit: 50 });
    pages.push((await scriptMicroseconds(lab)) / PAGES);
    const group = `${label}-${round}`;
    await groups.register(group, ACKS + 1, { timeoutSec: 0 });
    await lab.commands.reset();
    await concurrently(ACKS, (n) => groups.ack(group, String(n)), CLIENTS);
    acks.push((await scriptMicroseconds(lab)) / ACKS);
    await groups.remove(group);
  }
  return { pages, acks };
}

async function scriptMicroseconds({ commands }: Bench["lab"]): Promise<number> {
  const all = await commands.all();
  return (all.get("evalsha")?.microseconds ?? 0) + (all.get("eval")?.microseconds ?? 0);
}

/** The lines that registrations write, without their records: a page reads the oldest groups, and does not meet them. */
async function addLines({ lab }: Bench): Promise<void> {
  const [known = ""] = await lab.redis.keys("*:index:completion");
  const nowMs = Date.now();
  for (let shard = 0; shard < SHARDS; shard++) {
    const key = known.replace(/\{\d+\}/, `{${shard}}`);
    const entries: (string | number)[] = [];
    for (let n = shard; n < MANY; n += SHARDS) {
      const name = `completion:document-${n}`;
      entries.push(nowMs + n, name, 50e14 + nowMs + 3_600_000, `~${name}`);
    }
    await lab.redis.zadd(key, ...entries);
  }
}

async function indexBytes({ lab }: Bench): Promise<number> {
  const keys = await lab.redis.keys("*:index:completion");
  const sizes = await Promise.all(keys.map((key) => lab.redis.memory("USAGE", key, "SAMPLES", 0)));
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
}
