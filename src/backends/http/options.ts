import type { Clock } from "../../lib/clock.js";

/** The part of `fetch` that is called. */
export type HttpFetch = (url: string, init: RequestInit) => Promise<Response>;

/** What an `HttpCoordinator` is made with. */
export interface HttpOptions {
  /** Where the Worker answers, such as `https://coordinator.example.workers.dev`: https, or http to this machine. */
  readonly url: string;
  /** The bearer token that the Worker knows. */
  readonly token: string;
  /** Default: the platform's. */
  readonly fetch?: HttpFetch;
  /** How long one request may take, in milliseconds. 1 to 300,000, default 30,000. */
  readonly requestTimeoutMs?: number;
  /** How long raw keys outlive their last write, and ended groups their end, in seconds. At most a year, default 3600. */
  readonly ttlSec?: number;
  /** The deadline of groups that give none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: number;
  /** Development only, default false: http to any host. The token then travels in the open. */
  readonly allowHttp?: boolean;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}
