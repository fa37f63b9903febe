import type { InputOf, MachineName, OutputOf, TransitionName } from "../core/registry.js";
import type { Duration } from "../lib/duration.js";
import { checkInteger } from "../lib/validate.js";
import type { ListAnswer, ListQuery } from "./listing.js";

/**
 * The base of a coordinator: it runs transitions, watches their outputs, and runs due work. A backend whose records
 * have their own timers omits the fourth method, `drain`. A backend without an index omits the fifth, `list`.
 */
export interface Backend extends Partial<Drainable>, Partial<Listing> {
  /** Runs one transition on one record: atomic, in one round trip. */
  run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>>;
  /**
   * Resolves with the first output of the transition that is `ready`. Each read is atomic. Callers with the same
   * transition, id and input share reads and the output, which is frozen.
   *
   * @throws {CoordinationError} `wait_timeout` after `timeoutMs`; `limit_exceeded`, retryable, when the object holds
   * 10,000 waits.
   */
  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>>;
  /** Adds a waker, which delivers what a woken record of the machine claims. Returns a function that removes it. */
  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void;
}

/** A backend that keeps an index of its groups and requests. */
export interface Listing {
  /** Returns one page of the index. */
  list(query: ListQuery, options?: Pick<RunOptions, "signal">): Promise<ListAnswer>;
}

/** A coordinator or backend that can be drained. */
export interface Drainable {
  /** Runs due work, on backends without timers. Safe to call anywhere, at any time, concurrently. */
  drain(options?: DrainOptions): Promise<DrainReport>;
}

/** Options of one operation. */
export interface RunOptions {
  /** Ends the call, which rejects with `signal.reason`. A write may have been applied. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether the call may be sent twice: it is idempotent, or its input carries an `op`. False: it is tried once.
   *
   * @default true
   */
  readonly resend?: boolean;
  /** Keeps the caller's invocation alive for work that the call starts here, such as a delivery. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** Options of a wait. */
export interface WatchOptions {
  /** Rejects with `wait_timeout` after this many milliseconds. 0: reads once. */
  readonly timeoutMs: number;
  /** Ends the wait, which rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /** Unref timers, so that the wait does not keep the process alive. Default false. */
  readonly background?: boolean;
  /**
   * How long past its timeout a wait may still read an end that a notification announced, in milliseconds. Only on
   * backends that send notifications.
   *
   * @default 0
   */
  readonly lastReadMs?: number;
}

/** Transitions that can be watched: their output has `ready`. */
export type WatchableTransition = {
  [N in TransitionName]: OutputOf<N> extends { ready: boolean } ? N : never;
}[TransitionName];

/** The fields of every watched output. */
export interface Watched {
  readonly ready: boolean;
  /** The output with the lower number is older. */
  readonly version: number;
  /**
   * The output may become ready in this many milliseconds without a write. Relative, because the caller's clock may be
   * wrong.
   */
  readonly recheckInMs?: number;
}

/** Machines with timers: they have a `woken` transition. */
export type WakingMachine = {
  [M in MachineName]: `${M}.woken` extends TransitionName ? M : never;
}[MachineName];

/** Machines whose `woken` transition claims deliveries. */
export type DeliveringMachine = {
  [M in WakingMachine]: `${M}.settle` extends TransitionName ? M : never;
}[WakingMachine];

/** One piece of work that a woken record claims, such as a delivery. */
export interface Work {
  /** Where the work goes, such as a handler or a host. Each destination has a share of the pool. */
  readonly destination: string;
  /** Whether an earlier attempt failed. */
  readonly isRetry: boolean;
  /** Does the work. Returns whether it succeeded. */
  run(observer?: AttemptObserver): Promise<boolean>;
  /**
   * Gives the claim back unsent; it can be claimed again in `afterMs`. Work without this method stays in the queue,
   * however long it waits.
   */
  handBack?(afterMs: number): Promise<void>;
}

/** Observes one attempt at a piece of work: a tracer. */
export interface AttemptObserver {
  /** The trace context of the attempt, as a W3C traceparent. A webhook carries it. */
  readonly traceparent?: string | undefined;
  /** Receives what the attempt threw. Must not throw. */
  failed(error: unknown): void;
}

/** A waker: does what a woken record claims. A tracker with handlers is one. */
export interface Wake<M extends WakingMachine> {
  /** Returns the input of `woken`: what this waker can deliver. */
  input(): InputOf<`${M}.woken`>;
  /** Does the work. A rejection is reported as an event; the record's own timer repeats the work. */
  act(id: string, output: OutputOf<`${M}.woken`>, machine: M): Promise<void>;
  /** Returns the work of `act` in parts. With it the coordinator begins each part when its destination has room. */
  works?(id: string, output: OutputOf<`${M}.woken`>, machine: M): readonly Work[];
  /** Keeps the caller's invocation alive until the work is done, on platforms that end it with the response. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** Limits of one drain. */
export interface DrainOptions {
  /**
   * How many records to wake at most: 1 to 10,000. Does not count records whose claims are handed back unsent.
   *
   * @default 100
   */
  readonly limit?: number | undefined;
  /** After how long the drain begins no more records, in milliseconds: 1 to 600,000. @default 10_000 */
  readonly budgetMs?: number | undefined;
  /**
   * Receives a promise of the deliveries that are still under way when the drain begins no more. The drain then
   * resolves without them, and the function must keep the process alive for them. Without it the drain waits for these
   * deliveries.
   */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Ends the drain, which rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/** Limits of one drain, as a caller gives them. */
export interface DrainCallOptions extends Omit<DrainOptions, "budgetMs"> {
  /** After how long the drain begins no more records, in milliseconds: 1 to 600,000. @default 10_000 */
  readonly budgetMs?: Duration | undefined;
}

/** @throws {CoordinationError} `invalid_input` for a `limit` or a `budgetMs` out of its range. */
export function checkDrain({ limit = 1, budgetMs = 1 }: DrainOptions): void {
  checkInteger(limit, "limit", 1, 10_000);
  checkInteger(budgetMs, "budgetMs", 1, 600_000);
}

/** The result of one drain. */
export interface DrainReport {
  /** How many records were woken. */
  readonly woken: number;
  /** Whether due records are left: not reached yet, or postponed because a step failed. */
  readonly left: boolean;
  /** When the next record comes due, as far as this drain could see. */
  readonly nextDueAtMs: number | undefined;
}
