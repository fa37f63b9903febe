import { existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startRedis, startRestServer } from "../../dev/redis-rest/index.js";
import type {} from "./provided.js";

const TOKEN = "test-token";

const RUNS = "RUNS_";

function runsOf(environment: NodeJS.ProcessEnv): Record<string, number> {
  const given = Object.entries(environment).filter(([name]) => name.startsWith(RUNS));
  return Object.fromEntries(given.map(([name, runs]) => [name.slice(RUNS.length), Number(runs)]));
}

/** A file system in memory, where there is one: tests make thousands of small databases, and keep none. */
const MEMORY_FOLDER = "/dev/shm";
const ROOM_BYTES = 2_000_000_000;

/** Gives all processes of the run a temporary folder in memory, where there is room. Returns how it is removed. */
function useMemoryFolder(): () => void {
  if (!existsSync(MEMORY_FOLDER)) return () => {};
  const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
  if (bavail * bsize < ROOM_BYTES) return () => {};
  const folder = mkdtempSync(join(MEMORY_FOLDER, "coordinator-"));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

/** One redis-server and one REST server for the whole run. Without redis-server the run fails: nothing is skipped. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const removeFolder = useMemoryFolder();
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
      removeFolder();
    };
  } catch (error) {
    await redis.close();
    removeFolder();
    throw error;
  }
}
