import { spawnSync } from "node:child_process";
import { EXIT, Failure } from "../exit.js";
import type { DevServer } from "./worker.js";

/** Starts a redis-server of its own, with Upstash's REST protocol in front of it. Nothing is kept after its end. */
export async function startRedisRest(port: number, token: string): Promise<DevServer> {
  if (spawnSync("redis-server", ["--version"]).error !== undefined) {
    throw new Failure(EXIT.usage, "dev --redis needs redis-server 7 or newer: install it, so that it is in PATH");
  }
  const { startRedis, startRestServer } = await import("../../dev/redis-rest/index.js");
  const redis = await startRedis();
  try {
    const rest = await startRestServer({ redisUrl: redis.url, token, port });
    const close = async (): Promise<void> => {
      await rest.close();
      await redis.close();
    };
    return { url: rest.url, close };
  } catch (error) {
    await redis.close();
    throw error;
  }
}
