import { rmSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { startRedis, startRestServer } from "../../dev/redis-rest/index.js";
import { memoryFolder } from "./memory-folder.js";
import type {} from "./provided.js";

const TOKEN = "test-token";

const RUNS = "RUNS_";

function runsOf(environment: NodeJS.ProcessEnv): Record<string, number> {
  const given = Object.entries(environment).filter(([name]) => name.startsWith(RUNS));
  return Object.fromEntries(given.map(([name, runs]) => [name.slice(RUNS.length), Number(runs)]));
}

/** Has every process of the run write its temporary files to memory. Returns what removes them. */
function temporaryInMemory(): () => void {
  const folder = memoryFolder();
  const before = process.env.TMPDIR;
  if (folder === undefined) return () => {};
  process.env.TMPDIR = folder;
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
}

/** One redis-server and one REST server for the whole run. Without redis-server the run fails: nothing is skipped. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const removeTemporary = temporaryInMemory();
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
      removeTemporary();
    };
  } catch (error) {
    await redis.close();
    removeTemporary();
    throw error;
  }
}
