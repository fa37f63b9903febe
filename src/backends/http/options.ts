import type { FetchFunction as HttpFetch } from "../../http/fetch.js";
import type { Clock } from "../../lib/clock.js";
import type { Duration } from "../../lib/duration.js";

export type { HttpFetch };

/** Options of an `HttpCoordinator`. */
export interface HttpOptions {
  /** The Worker's address, such as `https://coordinator.example.workers.dev`. https, or http to a loopback address. */
  readonly url: string;
  /** The bearer token, as in the Worker's `COORDINATOR_TOKEN` or `COORDINATOR_TOKENS`. */
  readonly token: string;
  /** Sends requests. Default: the platform's `fetch`. */
  readonly fetch?: HttpFetch;
  /** How long one request may take, in milliseconds: 1 to 300,000. Default 30,000. */
  readonly requestTimeoutMs?: Duration;
  /**
   * How long raw keys are kept after their last write, and ended groups after their end, in seconds. At most a year.
   *
   * @default 3600
   */
  readonly ttlSec?: Duration;
  /** The deadline of groups that set none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: Duration;
  /** Development only, default false: allows http to any host. The token is then sent unencrypted. */
  readonly allowHttp?: boolean;
  /** Runs timers. Default: the system's clock. */
  readonly clock?: Clock;
  /** Returns a number from 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}
