import { Coordinator } from "../../coordinator.js";
import type { Clock } from "../../lib/clock.js";
import { HttpBackend } from "./backend.js";

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

/**
 * Coordination over HTTP, by the Worker of `edge-coordinator/worker`: for any runtime with `fetch`.
 *
 * An operation is one request. Operations that begin in the same turn of the event loop share a request. A call is sent three
 * times at most, where that is harmless; the Worker does not repeat it towards its object. Redirects are not followed: they
 * would carry the token along. An answer is read up to 16 MiB. Handlers and webhooks run in the Worker's object.
 *
 * @example
 * ```ts
 * const coordinator = new HttpCoordinator({ url: "https://coordinator.example.workers.dev", token: env.COORDINATOR_TOKEN });
 * ```
 */
export class HttpCoordinator extends Coordinator {
  /**
   * @throws {CoordinationError} `misconfigured` for a URL or token that cannot be used, `invalid_input` for an option out of
   * range.
   */
  constructor(options: HttpOptions) {
    super(new HttpBackend(options), options);
  }
}
