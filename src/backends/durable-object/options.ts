import type { Clock } from "../../lib/clock.js";
import type { Duration } from "../../lib/duration.js";

/** The used part of a Durable Object binding. Every `DurableObjectNamespace` fits. */
export interface ObjectNamespace {
  idFromName(name: string): object;
  get(id: object, options?: { locationHint?: string }): object;
  jurisdiction(jurisdiction: string): ObjectNamespace;
}

/** Options of a `DurableObjectCoordinator`. */
export interface DurableObjectOptions {
  /** The binding whose class extends `CoordinatorObject`. */
  readonly namespace: ObjectNamespace;
  /**
   * The prefix of every object's name, so that several coordinators can share a binding. Without `{` and `}`. Default `coord:`.
   */
  readonly keyPrefix?: string;
  /**
   * How long raw keys are kept after their last write, and ended groups after their end, in seconds. 0: raw keys do not
   * expire.
   *
   * @default 3600
   */
  readonly ttlSec?: Duration;
  /** The deadline of groups that set none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: Duration;
  /** Where a new object is created, such as `"weur"`. A hint: the platform may choose another place. */
  readonly locationHint?: string | undefined;
  /** Where the objects must stay, such as `"eu"`. The same key in another jurisdiction is another object. */
  readonly jurisdiction?: string | undefined;
  /**
   * How long an operation may take with all its attempts, in milliseconds: 1 to 600,000.
   *
   * @default 10000
   */
  readonly callTimeoutMs?: Duration;
  /**
   * Keeps the invocation alive until the object has ended an aborted wait: `(work) => ctx.waitUntil(work)`, or `waitUntil` of
   * `cloudflare:workers`. Pass the request's signal to the wait as well. A client that disconnects then ends its wait in the
   * object at once (compatibility flag `enable_request_signal`). Without this option, the wait ends there after 10 s at most.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Runs timers. Default: the system's clock. */
  readonly clock?: Clock;
  /** Returns a number from 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}
