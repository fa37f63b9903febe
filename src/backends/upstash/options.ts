import type { Redis } from "@upstash/redis/cloudflare";
import { baseUrl } from "../../http/base-url.js";
import type { FetchFunction as UpstashFetch } from "../../http/fetch.js";
import type { Clock } from "../../lib/clock.js";
import type { Duration } from "../../lib/duration.js";
import { misconfigured } from "../../lib/misconfigured.js";
import type { OnEvent } from "../../runtime/events.js";

/** A client of @upstash/redis, from any of its entry points. */
export type UpstashRedis = Pick<Redis, "evalsha" | "eval" | "pipeline">;

export type { UpstashFetch };

/** Options of an `UpstashCoordinator`: `url` and `token`, or a client that holds them. */
export interface UpstashOptions {
  /**
   * A client that replaces `url` and `token`: its address, token and headers are used. It is never changed. Its own settings
   * for retries, signals, pipelining and deserialization do not apply.
   */
  readonly redis?: UpstashRedis | undefined;
  /** The database's REST address, as in `UPSTASH_REDIS_REST_URL`. https, or http to a loopback address. */
  readonly url?: string | undefined;
  /** The token, as in `UPSTASH_REDIS_REST_TOKEN`. Must not be read-only. */
  readonly token?: string | undefined;
  /** Sends requests, also with `redis`, whose own HTTP client is never called. Default: the platform's `fetch`. */
  readonly fetch?: UpstashFetch | undefined;
  /** The prefix of all keys and channels: at most 256 bytes, no braces. Default `"coord:"`. */
  readonly keyPrefix?: string | undefined;
  /** How long raw keys are kept after their last write, in seconds, at most a year. 0: for ever. Default 3,600. */
  readonly ttlSec?: Duration | undefined;
  /** The deadline of groups that set none, in seconds; 0 for none. At most a year. */
  readonly completionTimeoutSec?: Duration | undefined;
  /**
   * Whether scripts declare that they lock only their own keys. Upstash then does not lock the whole database. A stock Redis
   * refuses this flag. Default `"auto"`: sets it until the server refuses it.
   */
  readonly keyLocking?: "auto" | boolean | undefined;
  /** Development only, default false: allows http to any host. The token is then sent unencrypted. */
  readonly allowHttp?: boolean | undefined;
  /** How long one HTTP request may take, in milliseconds: 1 to 600,000. Default 10,000. */
  readonly requestTimeoutMs?: Duration | undefined;
  /** Receives events. Errors that it throws are ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
  /** Runs timers, such as request timeouts. Deadlines of records use the server's clock. Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

/** The address and the headers of requests. */
export interface Endpoint {
  /** Without a trailing slash. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws {CoordinationError} `misconfigured` when there is no usable address or token. */
export function endpointOf({ redis, url, token, allowHttp }: UpstashOptions): Endpoint {
  if (redis !== undefined && (url !== undefined || token !== undefined)) {
    throw misconfigured("redis takes the place of url and token: give one or the other");
  }
  if (redis !== undefined) return fromClient(redis, allowHttp === true);
  if (!url || !token) {
    const variables = "UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN";
    throw misconfigured(`UpstashCoordinator needs url and token (${variables}), or redis`);
  }
  return checked(url, { authorization: `Bearer ${token}` }, allowHttp === true);
}

/** Reads the address and the headers that the client itself sends. */
function fromClient(redis: object, allowHttp: boolean): Endpoint {
  const client: unknown = Reflect.get(redis, "client");
  const { baseUrl: url, headers } = (client ?? {}) as { baseUrl?: unknown; headers?: unknown };
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    // Headers for its encoding, telemetry and session apply to its own requests only.
    if (typeof value === "string" && !/^upstash-/i.test(name)) own[name.toLowerCase()] = value;
  }
  if (typeof url !== "string" || url === "" || !own.authorization) {
    throw misconfigured("the address of this redis client cannot be read: pass url and token");
  }
  return checked(url, own, allowHttp);
}

function checked(url: string, headers: Record<string, string>, allowHttp: boolean): Endpoint {
  const base = baseUrl(url, allowHttp);
  try {
    new Headers(headers);
  } catch {
    throw misconfigured("token must hold only characters of a header: no line break, for example");
  }
  return { url: base, headers: { ...headers, "content-type": "application/json" } };
}
