import { readFileSync } from "node:fs";
import { cpus, platform, totalmem } from "node:os";
import type { Lab } from "./lab.js";

/** What the figures were taken on. Names of hosts and folders are nobody's business. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGb: number;
  readonly platform: string;
  readonly node: string;
  readonly redis: string;
  readonly workerd: string;
  readonly upstashClient: string;
  readonly upstashRatelimit: string;
  readonly bullmq: string;
}

export async function machineOf({ redis }: Lab): Promise<Machine> {
  const [first] = cpus();
  return {
    cores: cpus().length,
    processor: first?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: platform(),
    node: process.version.slice(1),
    redis: /redis_version:(\S+)/.exec(await redis.info("server"))?.[1] ?? "unknown",
    workerd: versionOf("workerd"),
    upstashClient: versionOf("@upstash/redis"),
    upstashRatelimit: versionOf("@upstash/ratelimit"),
    bullmq: versionOf("bullmq"),
  };
}

function versionOf(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
