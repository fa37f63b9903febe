import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RedisProcess, type RestServer, startRedis, startRestServer } from "../../dev/redis-rest/index.js";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { CompletionTracker, MemoryCoordinator } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { count, reached, runs } from "../support/figures.js";
import { activeTimers, heapInUse } from "./heap.js";
import { groupsOf, Soak } from "./workload.js";

const ACKS = runs("T10", 20_000);
const { groups, perQuarter } = groupsOf(ACKS);
const LONG_MS = 1_800_000;
/** How much more heap may be in use after the last quarter than after the second: eight bytes an ack in the long form. */
const MAX_GROWTH_BYTES = 4 * 1_024 * 1_024;

const kB = (bytes: number): string => `${bytes < 0 ? "-" : "+"}${count(Math.round(Math.abs(bytes) / 1_024))} kB`;

/** The first quarter is still warming up. */
function growthOf([, second = 0, , last = 0]: readonly number[]): number {
  return last - second;
}

describe("a soak", () => {
  it(
    "in memory leaves no record, no timer and no heap behind",
    async ({ task }) => {
      const [clock, soak] = [new ManualClock(), new Soak({ batch: 1, lateSec: 30, ttlSec: 60, handler: "ended" })];
      const coordinator = new MemoryCoordinator({ clock });
      const owner = new CompletionTracker(coordinator, { handlers: { ended: (event) => soak.delivered(event) } });
      const timers = activeTimers();
      const heaps: number[] = [];
      let most = 0;
      for (let quarter = 0; quarter < 4; quarter++) {
        for (let left = perQuarter; left > 0; left -= 50) {
          await soak.round(coordinator, Math.min(left, 50));
          most = Math.max(most, coordinator.size);
          await clock.advance(20_000);
        }
        await clock.advance(200_000);
        // Each write removes what has expired, a little at a time.
        for (let i = coordinator.size; i >= 0; i--) await coordinator.incr("sweep");
        await coordinator.delete("sweep");
        heaps.push(await heapInUse());
      }
      const growth = growthOf(heaps);
      const platformTimers = Math.max(0, activeTimers() - timers);
      const left = { records: coordinator.size, timers: clock.pending, platformTimers };
      const heap = `heap ${kB(growth)} from the second quarter to the last`;
      reached(task, {
        row: "T10",
        backend: "memory",
        reached: `${count(soak.acks)} acks over ${count(soak.groups)} groups: records ${left.records}, timers ${left.timers}, ${heap}`,
      });
      expect(soak.counts).toEqual(Soak.whole(groups));
      expect(most).toBeGreaterThan(0);
      // For a minute the deleted key remembers its operations.
      expect(left).toEqual({ records: 1, timers: 0, platformTimers: 0 });
      expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
      owner.close();
    },
    LONG_MS,
  );

  describe("on Redis", () => {
    const TOKEN = "soak-token";
    let redis: RedisProcess;
    let rest: RestServer;
    let raw: Redis;
    beforeAll(async () => {
      redis = await startRedis();
      rest = await startRestServer({ redisUrl: redis.url, token: TOKEN });
      raw = new Redis(redis.url);
    });
    afterAll(async () => {
      raw.disconnect();
      await rest.close();
      await redis.close();
    });

    const dueLines = async (prefix: string): Promise<number> => {
      const queues = await raw.keys(`${prefix}*:due`);
      return (await Promise.all(queues.map((key) => raw.zcard(key)))).reduce((sum, lines) => sum + lines, 0);
    };
    /** What the database holds, and which clients listen to it. */
    const leftovers = async (prefix: string) => ({
      keys: (await raw.keys("*")).length,
      dueLines: await dueLines(prefix),
      channels: ((await raw.pubsub("CHANNELS", "*")) as unknown[]).length,
      subscribers: String(await raw.call("CLIENT", "LIST", "TYPE", "PUBSUB")).trim(),
    });
    const NOTHING = { keys: 0, dueLines: 0, channels: 0, subscribers: "" };

    it(
      "leaves no key, no line that is due, no subscription and no heap behind",
      async ({ task }) => {
        const prefix = "soak:";
        const soak = new Soak({ batch: 100, lateSec: 2, ttlSec: 3, handler: "ended" });
        const coordinator = new UpstashCoordinator({ url: rest.url, token: TOKEN, keyPrefix: prefix });
        const owner = new CompletionTracker(coordinator, { handlers: { ended: (event) => soak.delivered(event) } });
        const timers = activeTimers();
        const heaps: number[] = [];
        for (let quarter = 0; quarter < 4; quarter++) {
          for (let left = perQuarter; left > 0; left -= 25) {
            await soak.round(coordinator, Math.min(left, 25));
            await coordinator.drain({ limit: 1_000 });
          }
          rest.requests.clear();
          heaps.push(await heapInUse());
        }
        const drained = () => coordinator.drain({ limit: 1_000 }).then(() => soak.unfinished);
        await expect.poll(drained, { timeout: 60_000 }).toBe(0);
        expect((await leftovers(prefix)).keys).toBeGreaterThan(0);
        // What ended last is readable for its TTL.
        await expect.poll(() => leftovers(prefix), { timeout: 20_000, interval: 100 }).toEqual(NOTHING);
        await expect.poll(() => activeTimers() - timers).toBeLessThanOrEqual(0);
        const growth = growthOf(heaps);
        const heap = `heap ${kB(growth)} from the second quarter to the last`;
        reached(task, {
          row: "T10",
          backend: "upstash",
          reached: `${count(soak.acks)} acks over ${count(soak.groups)} groups: keys 0, due lines 0, subscriptions 0, ${heap}`,
        });
        expect(soak.counts).toEqual(Soak.whole(groups));
        expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
        owner.close();
      },
      LONG_MS,
    );
  });
});
