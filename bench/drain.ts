import { monitorEventLoopDelay } from "node:perf_hooks";
import { Redis } from "ioredis";
import { type RestServer, startRedis, startRestServer } from "../dev/redis-rest/index.js";
import { UpstashCoordinator } from "../src/backends/upstash/index.js";
import { CompletionTracker, MemoryCoordinator } from "../src/index.js";
import { placeOf, shardOf } from "../src/runtime/placement.js";
import { CommandStats } from "./command-stats.js";

// `npx tsx bench/drain.ts`: what drains read and send, and for how long the event loop stands still over due groups.

const TOKEN = "token-of-the-bench";
const redis = await startRedis();
const raw = new Redis(redis.url);
const rest = await startRestServer({ redisUrl: redis.url, token: TOKEN });
const stats = new CommandStats(raw);

const traffic = { requests: 0, bytes: 0 };
const counting: typeof fetch = async (...call) => {
  const response = await fetch(...call);
  const text = await response.text();
  traffic.requests++;
  traffic.bytes += text.length;
  return new Response(text, response);
};

function coordinator(keyPrefix: string, { url, token }: RestServer = rest): UpstashCoordinator {
  return new UpstashCoordinator({
    url,
    token,
    keyPrefix,
    keyLocking: false,
    fetch: (url, init) => counting(url, init),
  });
}

/** Due lines of groups that are gone: a drain wakes them like any other. */
async function addLines(keyPrefix: string, count: number, atMs: () => number): Promise<void> {
  const byShard = new Map<number, (string | number)[]>();
  for (let i = 0; i < count; i++) {
    const id = `group-${i}`;
    const shard = shardOf(placeOf("completion", id));
    byShard.set(shard, [...(byShard.get(shard) ?? []), atMs(), `completion:${id}`]);
  }
  for (const [shard, lines] of byShard) await raw.zadd(`${keyPrefix}{${shard}}:due`, ...lines);
}

async function measured(what: string, work: () => Promise<string>): Promise<void> {
  await stats.reset();
  Object.assign(traffic, { requests: 0, bytes: 0 });
  const startedMs = performance.now();
  const more = await work();
  const ms = Math.round(performance.now() - startedMs);
  const { requests, bytes } = traffic;
  console.log(`${what}: ${requests} requests, ${await stats.total()} commands, ${bytes} bytes read, ${ms} ms ${more}`);
}

/** Drains until nothing is left, by so many at once; what it woke. */
async function drainAll(keyPrefix: string, drainers: number): Promise<string> {
  const woken = await Promise.all(
    Array.from({ length: drainers }, async () => {
      const one = coordinator(keyPrefix);
      let sum = 0;
      for (let left = true; left; ) {
        const report = await one.drain({ limit: 100, budgetMs: 60_000 });
        sum += report.woken;
        left = report.left;
      }
      return sum;
    }),
  );
  return `(${woken.reduce((sum, one) => sum + one)} wakes)`;
}

for (const open of [6_500, 100_000]) {
  await addLines(`idle-${open}:`, open, () => Date.now() + 3_600_000);
  await measured(`an idle drain with ${open} open groups`, async () => {
    const { woken } = await coordinator(`idle-${open}:`).drain();
    return `(${woken} wakes)`;
  });
}
const DUE = Number(process.env.DUE ?? 100_000);
for (const drainers of [1, 8]) {
  await addLines(`due-${drainers}:`, DUE, () => Date.now() - 1_000 - Math.random() * 60_000);
  await measured(`${DUE} due, limit 100, ${drainers} at once`, () => drainAll(`due-${drainers}:`, drainers));
}
raw.disconnect();
await rest.close();
await redis.close();

const GROUPS = 100_000;
const memory = new MemoryCoordinator();
let running = 0;
let most = 0;
let delivered = 0;
const tracker = new CompletionTracker(memory, {
  handlers: {
    done: async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      delivered++;
    },
  },
});
for (const onTimeout of [undefined, { handler: "done" } as const]) {
  const atMs = Date.now() + 20_000;
  for (let i = 0; i < GROUPS; i++) {
    const timeoutSec = Math.max(0.001, (atMs - Date.now()) / 1_000);
    await tracker.register(`${onTimeout?.handler}-${i}`, 1, { timeoutSec, ...(onTimeout && { onTimeout }) });
  }
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - Date.now() - 500)));
  delay.enable();
  const startedMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  while (onTimeout !== undefined && delivered < GROUPS && performance.now() - startedMs < 60_000) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  delay.disable();
  const stall = Math.round(delay.max / 1e6);
  console.log(
    `memory, ${GROUPS} groups with one deadline, ${onTimeout ? "with" : "without"} a handler: the longest turn ${stall} ms, at most ${most} handlers at once, ${delivered} delivered`,
  );
}
