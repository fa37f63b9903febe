import type { InputOf, MachineName, OutputOf, TransitionName } from "../core/registry.js";
import { checkInteger } from "../lib/validate.js";

/**
 * What a coordinator is made over: it runs transitions, waits for their outputs, and wakes what is due. Four methods, the last of
 * which a backend whose records wake by themselves leaves out.
 */
export interface Backend extends Partial<Drainable> {
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
  /** Adds a waker, which acts when a record of the machine wakes. Returns a function that removes it. */
  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void;
}

/** What can be drained. */
export interface Drainable {
  /** Wakes what is due, where no timer of the backend does. Safe to run anywhere, at any time, by many at once. */
  drain(options?: DrainOptions): Promise<DrainReport>;
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

/** Does what a woken record claims, such as a tracker with its handlers. */
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
