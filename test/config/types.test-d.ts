import { Redis } from "@upstash/redis";
import { Redis as EdgeRedis } from "@upstash/redis/cloudflare";
import {
  type CoordinatorConfig,
  type CustomBackend,
  createCoordinator,
  type ParsedConfig,
  parseConfig,
  type RedisClient,
} from "../../src/config/index.js";
import { MemoryCoordinator } from "../../src/index.js";

/** Checked by the compiler alone: what must not compile stands below `@ts-expect-error`. */

/** As a Worker declares it: an interface, which has no index signature. */
interface Env {
  readonly UPSTASH_REDIS_REST_URL: string;
  readonly UPSTASH_REDIS_REST_TOKEN?: string;
}

export async function configsAreChecked(env: Env, stored: unknown): Promise<void> {
  await createCoordinator({ backend: "upstash", upstash: { token: env.UPSTASH_REDIS_REST_TOKEN } }, { env });
  await createCoordinator(parseConfig(stored), { env: process.env });
  // @ts-expect-error: an unchecked value goes through parseConfig
  await createCoordinator(stored);
  // @ts-expect-error: there is no such field
  await createCoordinator({ upstash: { uri: "https://redis.example" } });
  // @ts-expect-error: there is no such option
  await createCoordinator({}, { environment: env });
  // @ts-expect-error: seconds are a number
  parseConfig({ completionTimeoutSec: "5" } satisfies CoordinatorConfig);
}

/** What a parse returns is a config too, with nothing left to be undefined but secrets. */
export function parsedIsComplete(parsed: ParsedConfig): CoordinatorConfig {
  const numbers: number[] = [parsed.upstash.ttlSec, parsed.durableObject.ttlSec, parsed.completionTimeoutSec];
  const texts: string[] = [parsed.backend, parsed.upstash.keyPrefix, parsed.durableObject.binding];
  // @ts-expect-error: the environment may hold it
  texts.push(parsed.upstash.token);
  return numbers.length > texts.length ? {} : parsed;
}

export function clientsFit(url: string, token: string): readonly RedisClient[] {
  return [new Redis({ url, token }), new EdgeRedis({ url, token })];
}
// @ts-expect-error: a client of another kind
({ get: () => "value" }) satisfies RedisClient;

class Mine extends MemoryCoordinator {
  static fromConfig({ customParams, completionTimeoutSec }: ParsedConfig): Mine {
    // @ts-expect-error: custom params are unchecked values
    customParams.region.length;
    return new Mine({ completionTimeoutSec });
  }
}
Mine satisfies CustomBackend;
({ fromConfig: async () => new MemoryCoordinator() }) satisfies CustomBackend;
// @ts-expect-error: it makes no coordinator
({ fromConfig: () => "mine" }) satisfies CustomBackend;
