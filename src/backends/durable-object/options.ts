import type { Clock } from "../../lib/clock.js";

/** The part of a Durable Object binding that is used; every `DurableObjectNamespace` has it. */
export interface ObjectNamespace {
  idFromName(name: string): object;
  get(id: object, options?: { locationHint?: string }): object;
  jurisdiction(jurisdiction: string): ObjectNamespace;
}

/** What a `DurableObjectCoordinator` is made with. */
export interface DurableObjectOptions {
  /** The binding whose class extends `CoordinatorObject`. */
  readonly namespace: ObjectNamespace;
  /** Begins the name of every object, so that several coordinators can share a binding. Without `{` and `}`. Default `coord:`. */
  readonly keyPrefix?: string;
  /** How long raw keys outlive their last write, and ended groups their end, in seconds; 0: raw keys stay. Default 3600. */
  readonly ttlSec?: number;
  /** The deadline of groups that give none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: number;
  /** Where an object is made that does not exist yet, such as `"weur"`. A wish, not a promise. */
  readonly locationHint?: string | undefined;
  /** Where the objects must stay, such as `"eu"`. The same key in another jurisdiction is another object. */
  readonly jurisdiction?: string | undefined;
  /**
   * How long an operation may take with all its attempts, in milliseconds: 1 to 600,000.
   *
   * @default 10000
   */
  readonly callTimeoutMs?: number;
  /**
   * Keeps the invocation alive until the object knows that a wait was aborted: `(work) => ctx.waitUntil(work)`, or `waitUntil`
   * of `cloudflare:workers`. With it, and with the request's signal given to the wait, a client that leaves ends its wait in
   * the object at once (compatibility flag `enable_request_signal`). Without it, the wait ends there after 10 s at most.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}
