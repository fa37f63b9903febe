import { Redis } from "ioredis";
import { afterAll, inject, type TestContext } from "vitest";
import { reached } from "../support/figures.js";
import { type Event, Interleaved } from "./interleaving.js";

/** The redis-server of the run, and what the tests of the polling design have in common. */
export function usePolling() {
  const redis = new Redis(inject("redisUrl"));
  afterAll(() => redis.disconnect());
  return {
    redis,
    /** An id that no other test uses. */
    id: (label: string): string => `${label}-${crypto.randomUUID()}`,
    connect: (...events: Event[]): Interleaved => new Interleaved(redis, ...events),
    exists: async (key: string): Promise<boolean> => (await redis.exists(key)) === 1,
    /** The key's time is over; without a TTL it would never be. */
    async lapse(key: string): Promise<void> {
      if ((await redis.pttl(key)) <= 0) throw new Error("the key has no end");
      await redis.pexpire(key, 0);
    },
  };
}

/** States what the polling design did wrong in this row of the fault table. */
export function fails(task: TestContext["task"], row: number, what: string): void {
  reached(task, { row: `fault ${row}`, backend: "polling design", reached: `fails: ${what}` });
}
