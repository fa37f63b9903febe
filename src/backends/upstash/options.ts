import type { Redis } from "@upstash/redis/cloudflare";
import { CoordinationError } from "../../errors.js";
import { baseUrl } from "../../http/base-url.js";
import type { Clock } from "../../lib/clock.js";
import type { OnEvent } from "../../runtime/events.js";

/** A client of @upstash/redis, from any of its entry points. */
export type UpstashRedis = Pick<Redis, "evalsha" | "eval" | "pipeline">;

/** The part of `fetch` that is called. */
export type UpstashFetch = (url: string, init: RequestInit) => Promise<Response>;

/** What an `UpstashCoordinator` is made with: `url` and `token`, or a client that has them. */
export interface UpstashOptions {
  /**
   * A client whose address, token and headers are used. It is never changed, and its own settings for retries, signals,
   * pipelining and deserialization do not apply. In place of `url` and `token`.
   */
  readonly redis?: UpstashRedis | undefined;
  /** `UPSTASH_REDIS_REST_URL`: https, or http to this machine. */
  readonly url?: string | undefined;
  /** `UPSTASH_REDIS_REST_TOKEN`. A read-only token will not do. */
  readonly token?: string | undefined;
  /** Default: the platform's. With `redis` too, whose own is never called. */
  readonly fetch?: UpstashFetch | undefined;
  /** What all keys and channels begin with: at most 256 bytes, no braces. Default `"coord:"`. */
  readonly keyPrefix?: string | undefined;
  /** How long raw keys outlive their last write, in seconds: 0 (for ever) to a year. Default 3,600. */
  readonly ttlSec?: number | undefined;
  /** The deadline of groups that give none, in seconds; 0 for none. At most a year. */
  readonly completionTimeoutSec?: number | undefined;
  /**
   * Whether scripts say that they lock their own keys only, which keeps Upstash from locking the whole database and which a
   * stock Redis refuses. Default `"auto"`: says so until the server refuses it.
   */
  readonly keyLocking?: "auto" | boolean | undefined;
  /** Development only, default false: http to any host. The token then travels in the open. */
  readonly allowHttp?: boolean | undefined;
  /** How long one HTTP request may take, in milliseconds: 1 to 600,000. Default 10,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Receives events; what it throws is ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
  /** For timers, such as the end of a request's time. Deadlines go by the server's clock. Default: the system's. */
  readonly clock?: Clock | undefined;
}

/** Where requests go, and what each of them carries. */
export interface Endpoint {
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

function misconfigured(message: string): CoordinationError {
  return new CoordinationError("misconfigured", message);
}

/** @throws {CoordinationError} `misconfigured` */
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

/** Reads the address and the headers that the client itself would send. */
function fromClient(redis: object, allowHttp: boolean): Endpoint {
  const client: unknown = Reflect.get(redis, "client");
  const { baseUrl: url, headers } = (client ?? {}) as { baseUrl?: unknown; headers?: unknown };
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    // Its encoding, telemetry and session are its own affair.
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
    throw misconfigured("token holds what no header may hold, such as a line break");
  }
  return { url: base, headers: { ...headers, "content-type": "application/json" } };
}
