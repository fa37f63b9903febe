import type { TestProject } from "vitest/node";
import { startRedis, startRestServer } from "../../dev/redis-rest/index.js";
import type {} from "./provided.js";

const TOKEN = "test-token";

const RUNS = "RUNS_";

function runsOf(environment: NodeJS.ProcessEnv): Record<string, number> {
  const given = Object.entries(environment).filter(([name]) => name.startsWith(RUNS));
  return Object.fromEntries(given.map(([name, runs]) => [name.slice(RUNS.length), Number(runs)]));
}

/** One redis-server and one REST server for the whole run. Without redis-server the run fails: nothing is skipped. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startRedis();
  try {
    const rest = await startRestServer({ redisUrl: redis.url, token: TOKEN });
    project.provide("redisUrl", redis.url);
    project.provide("restUrl", rest.url);
    project.provide("restToken", TOKEN);
    project.provide("runs", runsOf(process.env));
    return async () => {
      await rest.close();
      await redis.close();
    };
  } catch (error) {
    await redis.close();
    throw error;
  }
}
