import { createHash } from "node:crypto";
import { Ratelimit } from "@upstash/ratelimit";
import type { Redis } from "@upstash/redis";
import type { Redis as RawRedis } from "ioredis";
import { Mutex, RateLimiter } from "../../src/index.js";
import type { Address } from "../lab.js";
import { onUpstash } from "./ours.js";
import { bareRedis } from "./polling.js";

/** How many calls a key may make: `ample` admits all that a run makes, `one` denies all but the first. */
export interface Quota {
  readonly ample: number;
  readonly one: number;
}

export const QUOTA: Quota = { ample: 1_000_000, one: 1 };

/** Asks whether a key may call again. Returns the answer. */
export type Limit = (key: string) => Promise<boolean>;

/** A limiter, as one instance of an application has it. */
export interface LimitArm {
  readonly name: string;
  make(address: Address, limit: number): Limit;
}

export const OURS = "ours, RateLimiter";
export const OURS_KEEPING = "ours, RateLimiter with denials in memory";
export const SLIDING = "@upstash/ratelimit, slidingWindow";
export const BUCKET = "@upstash/ratelimit, tokenBucket";

/** All limiters with their defaults, and an hour as their window. */
export const LIMIT_ARMS: readonly LimitArm[] = [
  {
    name: OURS,
    make(address, limit) {
      const limiter = new RateLimiter(onUpstash(address).coordinator, { limit, windowSec: "1h" });
      return async (key) => (await limiter.limit(key)).allowed;
    },
  },
  {
    name: OURS_KEEPING,
    make(address, limit) {
      const { coordinator } = onUpstash(address);
      const limiter = new RateLimiter(coordinator, { limit, windowSec: "1h", denials: new Map() });
      return async (key) => (await limiter.limit(key)).allowed;
    },
  },
  { name: SLIDING, make: (address, limit) => upstash(address, Ratelimit.slidingWindow(limit, "1 h")) },
  { name: BUCKET, make: (address, limit) => upstash(address, Ratelimit.tokenBucket(limit, "1 h", limit)) },
];

function upstash(address: Address, limiter: ConstructorParameters<typeof Ratelimit>[0]["limiter"]): Limit {
  const ratelimit = new Ratelimit({ redis: withoutKeyLocking(bareRedis(address)), limiter });
  return async (key) => (await ratelimit.limit(key)).success;
}

/**
 * A stock redis-server refuses the flag `allow-key-locking` in the first line of their scripts. Ours run without it here as
 * well. Returns the client with scripts that lack the line; it sends as many requests as before.
 */
function withoutKeyLocking(redis: Redis): Redis {
  const digests = new Map<string, string>();
  const evalsha: Redis["evalsha"] = (sha, keys, args) => redis.evalsha(digests.get(sha) ?? sha, keys, args);
  const evaluate: Redis["eval"] = (script, keys, args) => {
    const stock = script.replace(/^#!.*\n/, "");
    digests.set(digestOf(script), digestOf(stock));
    return redis.eval(stock, keys, args);
  };
  return Object.assign(Object.create(redis) as Redis, { evalsha, eval: evaluate });
}

const digestOf = (script: string): string => createHash("sha1").update(script).digest("hex");

/** Takes a free lock and gives it back. */
export type LockAndRelease = (key: string) => Promise<unknown>;

/** One instance's mutex of this library. */
export function ourLock(address: Address): LockAndRelease {
  const mutex = new Mutex(onUpstash(address).coordinator);
  return async (key) => {
    const permit = await mutex.acquire(key);
    if (permit === null || !(await mutex.release(key, permit.permitId))) throw new Error("the lock was not free");
  };
}

/** The release that everyone writes by hand: it deletes the key if it still holds the caller's value. */
const RELEASE = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0`;
const LEASE_MS = 30_000;

/** `SET NX PX` and a script, as written by hand. It has no fencing token, no line, and no renewal. */
export async function lockByHand(raw: RawRedis): Promise<(address: Address) => LockAndRelease> {
  const sha = (await raw.script("LOAD", RELEASE)) as string;
  return (address) => {
    const redis: Redis = bareRedis(address);
    return async (key) => {
      const value = crypto.randomUUID();
      const taken = await redis.set(key, value, { nx: true, px: LEASE_MS });
      if (taken === null || (await redis.evalsha(sha, [key], [value])) !== 1) throw new Error("the lock was not free");
    };
  };
}
