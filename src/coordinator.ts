import type { InputOf, MachineName, OutputOf, TransitionName } from "./core/registry.js";
import { checkInteger } from "./lib/validate.js";

/**
 * Shared state that stateless callers agree on. Every operation is atomic, takes one round trip, and is decided by the
 * backend's clock. Raw keys live `defaultTtlSec` after their last write, or as `expire` says.
 *
 * Ids and keys are 1 to 256 bytes of UTF-8. A raw key's kind, a number, a set, a list or a flag, is that of its first write.
 *
 * Any call rejects with `invalid_input` for an argument out of range, before anything is sent, and with what the backend says
 * or suffers, such as `backend_unavailable`. `limit_exceeded` may also say that one request is larger than the backend takes.
 */
export interface Coordinator {
  /** Whether other processes see the same state. */
  readonly isDistributed: boolean;
  /** How long a raw key outlives its last write, and an ended group its end, in seconds. 0: raw keys stay. */
  readonly defaultTtlSec: number;
  /** The deadline of groups that give none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: number;

  /**
   * Adds `delta` (a safe integer, default 1) and returns the sum. A key that is not there counts as 0.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind; `limit_exceeded` when the sum would be no safe integer:
   * the number stays as it is.
   */
  incr(key: string, delta?: number): Promise<number>;
  /**
   * The number under the key; 0 when unset.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  getInt(key: string): Promise<number>;
  /**
   * Makes the key, a flag, unless one of any kind exists; says whether it did. It lives for `ttlSec`: more than 0, at most a
   * year.
   */
  setIfAbsent(key: string, ttlSec: number): Promise<boolean>;
  /**
   * Adds to a set; returns how many were new. Up to 10,000 members a call, each of up to 2,048 bytes; without any it does
   * nothing.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind; `limit_exceeded` when the set would hold more than
   * 100,000: none is added.
   */
  sadd(key: string, ...members: string[]): Promise<number>;
  /**
   * Takes from a set; returns how many were there. Up to 10,000 members a call, each of up to 2,048 bytes. A set that becomes
   * empty is gone.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  srem(key: string, ...members: string[]): Promise<number>;
  /**
   * How many members the set has; 0 when unset.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  scard(key: string): Promise<number>;
  /**
   * Appends to a list; returns its length. 1 to 10,000 items a call, each of up to 2,048 bytes.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind; `limit_exceeded` when the list would hold more than
   * 10,000: none is appended.
   */
  rpush(key: string, ...values: string[]): Promise<number>;
  /**
   * Returns the whole list, oldest first; an empty one when unset. One round trip a megabyte: a list only grows at its end, so
   * that its pages are the list as it is at the last of them.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind, and for a list that was deleted and made anew ten times
   * while it was read.
   */
  lrange(key: string): Promise<string[]>;
  /**
   * Sets the TTL of a key of any kind, which later writes leave alone; false when there is no such key. `ttlSec` is more than
   * 0, at most a year.
   */
  expire(key: string, ttlSec: number): Promise<boolean>;
  /**
   * Removes up to 10,000 keys of any kind; returns how many were there. Runs once per key: not atomic over several. When one
   * of them fails, the call rejects with that, and `applied` is `"unknown"` if others are gone already. What remains of a
   * deleted key for a minute are the ids of its latest 1,000 operations, so that a late copy of one changes nothing.
   */
  delete(...keys: string[]): Promise<number>;

  /** Runs one transition on one record: atomic, in one round trip. */
  run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>>;
  /**
   * Resolves with the first output of the transition that says `ready`. Each look is atomic. Callers that ask the same share
   * looks and the output, which is frozen.
   *
   * @throws {CoordinationError} `wait_timeout` when the time is over; `limit_exceeded`, retryable, when the object holds 10,000
   * waits.
   */
  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>>;
  /** Adds somebody who acts when a record of the machine wakes; returns a function that takes it out again. */
  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void;
  /** Wakes what is due, where no timer of the backend does. Safe to run anywhere, at any time, by many at once. */
  drain?(options?: DrainOptions): Promise<DrainReport>;
}

/** How one operation is run. */
export interface RunOptions {
  /** Ends the call; it rejects with `signal.reason`. A write may have landed. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether sending twice does no harm: by nature, or since the input carries an `op`. False: the call is tried once.
   *
   * @default true
   */
  readonly resend?: boolean;
  /** Keeps the caller's invocation alive for what the call sets off here, such as a delivery. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** How long a wait lasts. */
export interface WatchOptions {
  /** After so many milliseconds it rejects with `wait_timeout`. 0: looks once. */
  readonly timeoutMs: number;
  /** Ends the wait; it rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /** Unref timers, so that the wait does not keep the process alive. Default false. */
  readonly background?: boolean;
  /**
   * How long past its time a wait may still read the end that a message announced and that it could not read in time. Only
   * where the backend sends messages. Default 0.
   */
  readonly lastReadMs?: number;
}

/** Transitions that can be watched: their output says whether what was waited for has come. */
export type WatchableTransition = {
  [N in TransitionName]: OutputOf<N> extends { ready: boolean } ? N : never;
}[TransitionName];

/** What every watched output says. */
export interface Watched {
  readonly ready: boolean;
  /** Of two outputs the one with the lower number is the older one. */
  readonly version: number;
  /** It may become ready in so many milliseconds though nobody writes. Relative: the caller's clock may be wrong. */
  readonly recheckInMs?: number;
}

/** Machines with timers: they have a `woken` step. */
export type WakingMachine = {
  [M in MachineName]: `${M}.woken` extends TransitionName ? M : never;
}[MachineName];

/** One thing that a woken record asks for, such as a delivery that was claimed. */
export interface Work {
  /** Where it goes, such as a handler or a host. Each destination has a share of the pool. */
  readonly destination: string;
  /** Whether an earlier attempt failed. */
  readonly isRetry: boolean;
  /** Does it, and says whether it succeeded. */
  run(): Promise<boolean>;
  /** Gives the claim back unsent, to be claimed again in `afterMs`. Without it the work keeps its turn, however long it waits. */
  handBack?(afterMs: number): Promise<void>;
}

/** Somebody who does what a woken record claims, such as a tracker with its handlers. */
export interface Wake<M extends WakingMachine> {
  /** What `woken` is told: what this one is able to do. */
  input(): InputOf<`${M}.woken`>;
  /** Does it. A rejection is reported as an event; the record's own timer makes it good. */
  act(id: string, output: OutputOf<`${M}.woken`>): Promise<void>;
  /** What `act` would do, in parts. With it the coordinator begins each part when its destination has room. */
  works?(id: string, output: OutputOf<`${M}.woken`>): readonly Work[];
  /** Keeps the caller's invocation alive until the work is done, on platforms that end it with the response. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** How much one drain does. */
export interface DrainOptions {
  /** How many records to wake at most: 1 to 10,000. A record whose claims are handed back unsent does not count. @default 100 */
  readonly limit?: number | undefined;
  /** After how long the drain begins no more records, in milliseconds: 1 to 600,000. @default 10_000 */
  readonly budgetMs?: number | undefined;
  /**
   * Takes the deliveries that are still under way when the drain begins no more: the drain then resolves without them. It must
   * keep the process alive for them. Without it the drain waits until they have ended.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Ends the drain; it rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws {CoordinationError} `invalid_input` for a `limit` or a `budgetMs` out of its range. */
export function checkDrain({ limit = 1, budgetMs = 1 }: DrainOptions): void {
  checkInteger(limit, "limit", 1, 10_000);
  checkInteger(budgetMs, "budgetMs", 1, 600_000);
}

/** What one drain did. */
export interface DrainReport {
  /** How many records were woken. */
  readonly woken: number;
  /** Whether records are left that were due: not looked at yet, or put off since they could not be woken. */
  readonly left: boolean;
  /** When the next one comes due, as far as this drain could see. */
  readonly nextDueAtMs: number | undefined;
}

/**
 * What happens outside of any call: for logs and metrics. Holds no payload. Its `error` is the text that was thrown, so it
 * holds a secret if a handler throws one: keep events in the owner's logs.
 *
 * Without `onEvent` the console gets a line, at most one a minute, about `wake_failed`, `drain_failed`, and deliveries that are
 * `unhandled` or `dead`. `onEvent: () => {}` turns it off.
 */
export type CoordinatorEvent =
  | { readonly type: "wake_failed"; readonly machine: string; readonly id: string; readonly error: unknown }
  /**
   * A drain of `drainEvery` or of an `AlarmClock` failed, a drain's `sweep` (`defineBackend`), or an object's alarm over its
   * storage; it is tried again.
   */
  | { readonly type: "drain_failed"; readonly error: unknown }
  | {
      readonly type: "delivery";
      readonly id: string;
      readonly deliveryId: string;
      /** The attempt that ended; for `unhandled`, how many were made before. */
      readonly attempt: number;
      /**
       * `delivered`, `retry` and `dead` end an attempt. `stale`: another attempt had taken its place. `unhandled`: drains lack
       * its handler, or webhooks; sent when that begins and then once an hour. `dead` also ends a day of that.
       */
      readonly outcome: "delivered" | "retry" | "dead" | "stale" | "unhandled";
      /** What the attempt failed with, up to 1,024 bytes, or why none was made. */
      readonly error?: string;
    }
  /** The last step of a call that has done its work failed; time, or whoever comes next, makes it good. */
  | {
      readonly type: "followup_failed";
      readonly transition: TransitionName;
      /** The record's id; of a claim or a version the caller's key, of several parts as their JSON. */
      readonly id: string;
      readonly error: unknown;
    };

/** Hears of events. What it throws is ignored. */
export type OnEvent = (event: CoordinatorEvent) => void;
