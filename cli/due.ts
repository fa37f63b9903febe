import { DEFAULT_KEY_PREFIX, SHARDS } from "../src/runtime/placement.js";
import type { Settings } from "./settings.js";
import { callWorker } from "./worker-call.js";

/**
 * Returns since when the oldest due work of a Redis database waits, in milliseconds since 1970. `undefined`: nothing is due, or the
 * database does not say. A drain moves the lines that it takes 30 s ahead.
 */
export async function oldestDueMs(settings: Settings, nowMs: number, signal: AbortSignal): Promise<number | undefined> {
  const { keyPrefix = DEFAULT_KEY_PREFIX } = settings;
  const shards = Array.from({ length: SHARDS }, (_, shard) => `${keyPrefix}{${shard}}:due`);
  const body = shards.map((key) => ["ZRANGE", key, 0, 0, "WITHSCORES"]);
  // The REST API of Upstash takes the same header as the Worker. Its answer is a list, an entry for each command.
  const answer: unknown = await callWorker(settings, { method: "POST", path: "/pipeline", body }, signal).catch(
    () => [],
  );
  const scores = Array.isArray(answer) ? answer.map((each) => Number(Object(each).result?.[1])) : [];
  const due = scores.filter((atMs) => atMs <= nowMs);
  return due.length === 0 ? undefined : Math.min(...due);
}
