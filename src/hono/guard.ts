import type { Context } from "hono";
import type { Coordinator } from "../coordinator.js";
import type { OnEvent } from "../runtime/events.js";

/** The run of a handler behind an idempotency key. */
export interface IdempotentRun {
  /** The client's key, such as for the idempotency key of a call to another service. */
  readonly key: string;
  /**
   * Grows with every run of the key. Send it with each write, so that a store can refuse the write of an earlier run that
   * lost its lease.
   */
  readonly fencingToken: number;
  /** Aborts when the lease of the key is lost. Does not abort when the client disconnects. */
  readonly signal: AbortSignal;
}

/** A request with a key. */
export interface KeyedRequest {
  readonly coordinator: Coordinator;
  readonly key: string;
  /** The owner of the key; "" for the public scope. */
  readonly owner: string;
  /** Where the client can read the state of the work. */
  readonly location?: string | undefined;
  readonly onEvent: OnEvent | undefined;
  /**
   * Runs the handler, which sets `c.res`. Returns false when the work was done before, by a call whose response is not kept
   * any more.
   */
  handle(run: IdempotentRun): Promise<boolean>;
}

/** Runs the handlers of keys once. */
export interface Guard {
  readonly isRequired: boolean;
  readonly ttlMs: number;
  /**
   * Sets the response: the handler's (`ran`), the one that was kept for its key (`replayed`), or a problem (`refused`).
   *
   * @throws the handler's error, and the backend's as long as the handler has not begun.
   */
  run(c: Context, request: KeyedRequest): Promise<"ran" | "replayed" | "refused">;
  /** Answers a request that has no key, but must have one. */
  refuseKeyless(c: Context): void;
}
