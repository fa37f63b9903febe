import type { ObjectNamespace } from "../backends/durable-object/options.js";
import type { UpstashRedis } from "../backends/upstash/index.js";
import type { Coordinator, DrainableCoordinator } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { misconfigured } from "../lib/misconfigured.js";
import type { OnEvent } from "../runtime/events.js";
import type { CoordinatorConfig, ParsedConfig } from "./config.js";
import { type CustomBackends, checkNames, fromCustom } from "./custom.js";
import { environmentOf, settingOf } from "./environment.js";
import { parseConfig } from "./parse.js";

/** A client of @upstash/redis, described without its types, so that users of other backends need not install them. */
export interface RedisClient {
  readonly eval: (...args: never[]) => unknown;
  readonly evalsha: (...args: never[]) => unknown;
  readonly pipeline: (...args: never[]) => unknown;
}

/** Options that a config cannot hold, such as clients and bindings. Options of other backends than the chosen one are ignored. */
export interface CreateCoordinatorOptions {
  /**
   * Where secrets and bindings are found: the `env` of a Worker, or `process.env`. When it is given, no other environment is
   * read. Default: `process.env`, where the platform has it.
   */
  readonly env?: object | undefined;
  /** Custom backends by the names that `config.backend` uses. A built-in name is refused. */
  readonly backends?: CustomBackends | undefined;
  /** A client of @upstash/redis in place of `upstash.url` and `upstash.token`: its address and token are used. */
  readonly redis?: RedisClient | undefined;
  /** A Durable Object namespace in place of `durableObject.binding`. */
  readonly namespace?: ObjectNamespace | undefined;
  /** For `"durable-object"`: keeps the invocation alive until the object has ended an aborted wait. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /**
   * Receives events of the backends `"memory"` and `"upstash"`, which run in this process. One example is a record that `drain`
   * could not wake. Errors that it throws are ignored. The objects behind `"durable-object"` and `"http"` report to the
   * `onEvent` of their class. A custom backend reports by its own options. Pass the hook to trackers as well.
   */
  readonly onEvent?: OnEvent | undefined;
}

/**
 * Returns the coordinator that a config describes. Loads only the code of its backend. Sends nothing yet: the first call
 * shows a wrong token. With the backend `"memory"` each call creates a separate state, so call it once.
 *
 * A secret in the config takes precedence over one in the environment, field by field. Workers pass their `env`. A bundler
 * follows every `import()`: where @upstash/redis is not installed, mark it external.
 *
 * @param config the input of `parseConfig`, or its result. Default: all defaults, which means memory.
 * @throws {CoordinationError} `misconfigured` for every wrong setting. The message names the field and holds no value. The
 * error of a custom backend is the `cause`.
 *
 * @example
 * ```ts
 * import { CompletionTracker } from "edge-coordinator";
 * import { createCoordinator } from "edge-coordinator/config";
 *
 * // UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN are in process.env.
 * const coordinator = await createCoordinator({ backend: "upstash", upstash: { keyPrefix: "shop:" } });
 * const tracker = new CompletionTracker(coordinator);
 * ```
 */
export function createCoordinator(
  config: CoordinatorConfig & { readonly backend: "upstash" },
  options?: CreateCoordinatorOptions,
): Promise<DrainableCoordinator>;
export function createCoordinator(config?: CoordinatorConfig, options?: CreateCoordinatorOptions): Promise<Coordinator>;
export async function createCoordinator(
  config: CoordinatorConfig = {},
  options: CreateCoordinatorOptions = {},
): Promise<Coordinator> {
  const { backends = {}, onEvent } = options;
  const parsed = parseConfig(config);
  checkNames(backends);
  if (onEvent !== undefined && typeof onEvent !== "function") throw misconfigured("onEvent must be a function");
  switch (parsed.backend) {
    case "memory":
      return memory(parsed, options);
    case "upstash":
      return upstash(parsed, options);
    case "durable-object":
      return durableObject(parsed, options);
    case "http":
      return http(parsed, options);
    default:
      return fromCustom(parsed, backends);
  }
}

async function memory(
  { completionTimeoutSec }: ParsedConfig,
  { onEvent }: CreateCoordinatorOptions,
): Promise<Coordinator> {
  const { MemoryCoordinator } = await import("../backends/memory/coordinator.js");
  return new MemoryCoordinator({ completionTimeoutSec, onEvent });
}

async function upstash(config: ParsedConfig, options: CreateCoordinatorOptions): Promise<DrainableCoordinator> {
  const { env, redis, onEvent } = options;
  const { completionTimeoutSec } = config;
  const { url, token, ...settings } = config.upstash;
  const rest = { ...settings, completionTimeoutSec, onEvent };
  if (redis === undefined) {
    const variables = environmentOf(env);
    const endpoint = {
      url: settingOf(variables, { field: "upstash.url", given: url, variable: "UPSTASH_REDIS_REST_URL" }),
      token: settingOf(variables, { field: "upstash.token", given: token, variable: "UPSTASH_REDIS_REST_TOKEN" }),
    };
    const { UpstashCoordinator } = await loadUpstash();
    return made("upstash.", () => new UpstashCoordinator({ ...endpoint, ...rest }));
  }
  if (url !== undefined || token !== undefined) {
    throw misconfigured("redis takes the place of upstash.url and upstash.token: give one or the other");
  }
  if (typeof redis?.evalsha !== "function") throw misconfigured("redis must be a client of @upstash/redis");
  const { UpstashCoordinator } = await loadUpstash();
  return made("redis: ", () => new UpstashCoordinator({ redis: redis as UpstashRedis, ...rest }));
}

/** Loads the one backend that needs a package which may not be installed. */
async function loadUpstash(): Promise<typeof import("../backends/upstash/index.js")> {
  try {
    return await import("../backends/upstash/index.js");
  } catch (error) {
    throw misconfigured('the backend "upstash" cannot be loaded: is the package @upstash/redis installed?', error);
  }
}

async function durableObject(config: ParsedConfig, options: CreateCoordinatorOptions): Promise<Coordinator> {
  const { completionTimeoutSec, durableObject } = config;
  const { binding, ...settings } = durableObject;
  const namespace = (options.namespace ?? environmentOf(options.env)[binding]) as ObjectNamespace | undefined;
  if (typeof namespace?.idFromName !== "function") {
    const place = 'durableObject.binding (default "COORDINATOR")';
    throw misconfigured(
      options.namespace === undefined
        ? `${place} names no Durable Object namespace in env: hand in the Worker's env, or the namespace itself`
        : "namespace must be a Durable Object namespace",
    );
  }
  const { DurableObjectCoordinator } = await import("../backends/durable-object/client.js");
  const { waitUntil } = options;
  const build = () => new DurableObjectCoordinator({ namespace, ...settings, completionTimeoutSec, waitUntil });
  return made("durableObject.", build);
}

async function http(config: ParsedConfig, { env }: CreateCoordinatorOptions): Promise<Coordinator> {
  const { url, token, ...settings } = config.http;
  const { completionTimeoutSec } = config;
  const variables = environmentOf(env);
  const endpoint = {
    url: settingOf(variables, { field: "http.url", given: url, variable: "COORDINATOR_URL" }),
    token: settingOf(variables, { field: "http.token", given: token, variable: "COORDINATOR_TOKEN" }),
  };
  const { HttpCoordinator } = await import("../backends/http/index.js");
  return made("http.", () => new HttpCoordinator({ ...endpoint, ...settings, completionTimeoutSec }));
}

/** Runs a constructor. Its errors begin with an option's name: `place` turns that into the config's field. */
function made<C extends Coordinator>(place: string, build: () => C): C {
  try {
    return build();
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error;
    throw misconfigured(`${place}${error.message}`, error);
  }
}
