import type { Redis } from "@upstash/redis";
import type { Redis as RawRedis } from "ioredis";

const TTL_MS = "3600000";

/** A script as one writes it by hand. */
export interface HandWritten {
  readonly lua: string;
  /** Keys and arguments of one call. */
  call(group: string, task: string): readonly [keys: string[], args: string[]];
}

/** A counter that a message which comes twice takes from twice. */
export const counter: HandWritten = {
  lua: `local left = redis.call("DECR", KEYS[1])
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return left`,
  call: (group) => [[`hand:{${group}}:counter`], [TTL_MS]],
};

/**
 * An ack with what ours stores: the task's field with the call's id, so that another is a duplicate and the call's own retry is
 * not; the count; the TTL. It has no registration, no verdicts beyond these, no deadline and no outbox.
 */
export const ack: HandWritten = {
  lua: `if redis.call("HSETNX", KEYS[1], "t:" .. ARGV[1], ARGV[2]) == 0 then
  local mark = redis.call("HGET", KEYS[1], "t:" .. ARGV[1])
  return mark == ARGV[2] and "accepted" or "duplicate"
end
local need = redis.call("HINCRBY", KEYS[1], "need", -1)
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return "accepted:" .. need`,
  call: (group, task) => [[`hand:{${group}}:ack`], [task, crypto.randomUUID(), TTL_MS]],
};

/** Calls the script by its digest, which the server knows already. */
export async function load(raw: RawRedis, script: HandWritten): Promise<Loaded> {
  const sha = (await raw.script("LOAD", script.lua)) as string;
  return (redis, group, task) => redis.evalsha(sha, ...(script.call(group, task) as [string[], string[]]));
}

export type Loaded = (redis: Redis, group: string, task: string) => Promise<unknown>;
