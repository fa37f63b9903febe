import type { Redis } from "ioredis";

/** What the server says of one command. */
export interface CommandStat {
  readonly calls: number;
  readonly microseconds: number;
}

/** Those that the benchmark itself sends. */
const OWN = new Set([
  "info",
  "config|resetstat",
  "flushall",
  "memory|usage",
  "script|load",
  "client|setinfo",
  "client|setname",
]);

/** What the server itself counted since the last reset: commands inside scripts count as well. */
export class CommandStats {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async reset(): Promise<void> {
    await this.#redis.config("RESETSTAT");
  }

  async all(): Promise<ReadonlyMap<string, CommandStat>> {
    const lines = (await this.#redis.info("commandstats")).matchAll(/cmdstat_([^:]+):calls=(\d+),usec=(\d+)/g);
    return new Map(
      [...lines].map(([, name = "", calls, usec]) => [name, { calls: Number(calls), microseconds: Number(usec) }]),
    );
  }

  async total(): Promise<number> {
    let total = 0;
    for (const [name, { calls }] of await this.all()) if (!OWN.has(name)) total += calls;
    return total;
  }

  /** What one call of a script took on the server, on the average. */
  async microsecondsPerScript(): Promise<number> {
    const { calls, microseconds } = (await this.all()).get("evalsha") ?? { calls: 0, microseconds: 0 };
    return microseconds / calls;
  }
}
