import { Redis as RawRedis } from "ioredis";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { type RedisProcess, type RestServer, startRedis, startRestServer } from "../../../dev/redis-rest/index.js";
import { UpstashCoordinator, type UpstashOptions } from "../../../src/backends/upstash/index.js";
import { scripts } from "../../../src/backends/upstash/scripts.gen.js";
import { scriptOf } from "../../../src/backends/upstash/scripts.js";
import type { InputOf, TransitionName } from "../../../src/index.js";
import { type FaultProxy, startFaultProxy } from "../../support/fault-proxy.js";

export const TOKEN = "canary-token-5f1c";

/** A database of the file's own: some of these tests flush the script cache, or count requests. */
export interface Lab {
  readonly redis: RedisProcess;
  readonly raw: RawRedis;
  readonly rest: RestServer;
  readonly proxy: FaultProxy;
  /** Another one for each test. */
  readonly keyPrefix: string;
  /** Straight to the REST server, or through the proxy. */
  coordinator(options?: UpstashOptions): UpstashCoordinator;
  faulty(options?: UpstashOptions): UpstashCoordinator;
}

export function useLab(): Lab {
  const lab = {} as { -readonly [K in keyof Lab]: Lab[K] };
  let test = 0;
  beforeAll(async () => {
    lab.redis = await startRedis();
    lab.raw = new RawRedis(lab.redis.url);
    // As on any server that has run for a while.
    const names = [...(Object.keys(scripts) as TransitionName[]), "take" as const];
    for (const name of names) await lab.raw.script("LOAD", scriptOf(name));
    lab.rest = await startRestServer({ redisUrl: lab.redis.url, token: TOKEN });
    lab.proxy = await startFaultProxy(lab.rest.url);
    const make = (url: string, options: UpstashOptions = {}) => {
      const address = options.redis === undefined ? { url, token: TOKEN } : {};
      return new UpstashCoordinator({ ...address, keyPrefix: lab.keyPrefix, keyLocking: false, ...options });
    };
    lab.coordinator = (options) => make(lab.rest.url, options);
    lab.faulty = (options) => make(lab.proxy.url, options);
  });
  beforeEach(() => {
    lab.keyPrefix = `t${++test}:`;
    lab.proxy.faults.length = 0;
    lab.proxy.requests.length = 0;
    lab.proxy.standing = "none";
    lab.proxy.subscribe = "none";
    lab.proxy.streams = 0;
    lab.rest.requests.clear();
  });
  afterAll(async () => {
    lab.raw.disconnect();
    await lab.proxy.close();
    await lab.rest.close();
    await lab.redis.close();
  });
  return lab as Lab;
}

/** A coordinator whose clock is ahead. */
export class SkewedCoordinator extends UpstashCoordinator {
  skewMs = 0;
  protected override clockSkewMs(): number {
    return this.skewMs;
  }
}

let ops = 0;

export function registration(given: Partial<InputOf<"completion.register">> = {}): InputOf<"completion.register"> {
  const op = `op${++ops}`;
  const counted = { fingerprint: "s", kind: "counted" as const, lists: [], total: 1 };
  return { op, ...counted, timeoutMs: 0, ttlMs: 60_000, deliveryId: `d-${op}`, ...given };
}

export function acks(...ids: string[]): InputOf<"completion.ack"> {
  return { op: `op${++ops}`, tasks: ids.map((id) => ({ id })), earlyTtlMs: 60_000 };
}
