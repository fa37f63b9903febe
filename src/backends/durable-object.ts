import { lostAnswer } from "../access.js";
import { fullJitterMs, type RetryPolicy } from "../backoff.js";
import { type Clock, systemClock } from "../clock.js";
import type { RunOptions, Wake, WakingMachine, WatchableTransition, Watched, WatchOptions } from "../coordinator.js";
import { CoordinationError, type CoordinationErrorCode } from "../errors.js";
import { type InputOf, machineOf, type OutputOf, type TransitionName } from "../machines/index.js";
import { Primitives } from "../primitives.js";
import { placeOf } from "../tags.js";
import { checkInteger, checkKeyPrefix, checkNumber, MAX_SEC } from "../validate.js";
import { timedOut } from "../watchers.js";
import { type Limit, pause, within } from "../within.js";
import { isTooLarge, lacksMethod, ObjectCalls } from "./object-calls.js";

/** The part of a Durable Object binding that is used; every `DurableObjectNamespace` has it. */
export interface ObjectNamespace {
  idFromName(name: string): object;
  get(id: object, options?: { locationHint?: string }): object;
  jurisdiction(jurisdiction: string): ObjectNamespace;
}

/** What the object answers. Errors travel as values: one that is thrown over RPC loses its class and its fields. */
export type ObjectReply =
  | { readonly ok: true; readonly output: object }
  | { readonly ok: false; readonly code: CoordinationErrorCode; readonly message: string; readonly retryable: boolean };

/** One operation, as it travels to the object. */
export interface ObjectCall {
  readonly transition: TransitionName;
  readonly id: string;
  readonly input: unknown;
}

/** The methods of a `CoordinatorObject` that are called from outside. */
export interface ObjectMethods {
  /** Runs one public transition. */
  run(transition: string, id: string, input: unknown): ObjectReply | Promise<ObjectReply>;
  /** Runs several, in their order, each by itself and with a reply of its own. */
  runMany(calls: readonly ObjectCall[]): ObjectReply[] | Promise<ObjectReply[]>;
  /** Waits until the transition's output is `ready`, or for `timeoutMs`: then the last output comes as it is. */
  watch(transition: string, id: string, input: unknown, timeoutMs: number): Promise<ObjectReply>;
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
  /** How long an operation may take with all its attempts, in milliseconds. 1 to 600,000, default 10,000. */
  readonly callTimeoutMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** The longest that one call waits inside the object. */
export const MAX_HOP_MS = 25_000;
/** How long after its time a wait hears out an answer that is on its way. */
const GRACE_MS = 50;

const RESEND: RetryPolicy = { maxAttempts: 3, baseDelayMs: 50, maxDelayMs: 200 };
const REWATCH: RetryPolicy = { maxAttempts: 100, baseDelayMs: 250, maxDelayMs: 2_000 };

/**
 * Coordination in Durable Objects: one object for each group and each raw key's tag, linearizable, with its own timer.
 * An operation is one RPC; those on one object that begin in the same turn share it. Cheap to make, per request or once: it
 * keeps no stub and no timer between calls.
 *
 * Calls that the platform marks as retryable are sent again, at most twice, where that is harmless. Handlers and
 * webhooks run inside the object: give them to the `CoordinatorObject`.
 *
 * @example
 * ```ts
 * const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
 * ```
 */
export class DurableObjectCoordinator extends Primitives {
  readonly isDistributed = true;
  readonly defaultTtlSec: number;
  readonly completionTimeoutSec?: number;
  readonly #options: DurableObjectOptions;
  readonly #keyPrefix: string;
  readonly #callTimeoutMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #calls = new ObjectCalls((transition, id) => this.#object(transition, id));

  /** @throws {CoordinationError} `misconfigured` without a namespace, `invalid_input` for an option out of range. */
  constructor(options: DurableObjectOptions) {
    super();
    const { namespace, keyPrefix = "coord:", ttlSec = 3_600, completionTimeoutSec, callTimeoutMs = 10_000 } = options;
    if (typeof namespace?.idFromName !== "function") {
      throw new CoordinationError("misconfigured", "namespace must be a Durable Object binding of the Worker");
    }
    checkKeyPrefix(keyPrefix, "keyPrefix");
    checkNumber(ttlSec, "ttlSec", 0, MAX_SEC);
    checkInteger(callTimeoutMs, "callTimeoutMs", 1, 600_000);
    if (completionTimeoutSec !== undefined) {
      checkNumber(completionTimeoutSec, "completionTimeoutSec", 0, MAX_SEC);
      this.completionTimeoutSec = completionTimeoutSec;
    }
    this.#options = options;
    this.#keyPrefix = keyPrefix;
    this.#callTimeoutMs = callTimeoutMs;
    this.defaultTtlSec = ttlSec;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  /**
   * Runs one transition in the record's object.
   *
   * @throws {CoordinationError} `backend_unavailable` and `rate_limited` (an overloaded object; never sent again) with
   * `applied` "unknown" for writes, `backend_rejected` for a transition that failed inside the object.
   */
  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const { signal, resend = true } = options;
    const applied = lostAnswer(transition);
    const endsAtMs = this.#clock.now() + this.#callTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      const limit: Limit = { limitMs: Math.max(1, endsAtMs - this.#clock.now()), signal, clock: this.#clock };
      try {
        const call = () => this.#calls.run(placeOf(machineOf(transition), id), { transition, id, input });
        return outputOf(await within(limit, noAnswer, call));
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof CoordinationError) throw error;
        const pauseMs = fullJitterMs(RESEND, attempt, this.#random());
        const isLast = attempt >= RESEND.maxAttempts || this.#clock.now() + pauseMs >= endsAtMs;
        if (!resend || isLast || !isTransient(error)) throw faultOf(error, applied);
        await pause({ ...limit, limitMs: pauseMs });
      }
    }
  }

  /** Waits in the object, hop by hop; a lost connection is taken up again within the wait's time. */
  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    const { timeoutMs, signal } = options;
    checkNumber(timeoutMs, "timeoutMs", 0, MAX_SEC * 1000);
    const endsAtMs = this.#clock.now() + timeoutMs;
    for (let failures = 0; ; ) {
      const leftMs = Math.max(0, endsAtMs - this.#clock.now());
      const hopMs = Math.min(MAX_HOP_MS, Math.ceil(leftMs));
      // One look, or a look that may wait: the end of the wait ends it in any case, and a silent object the hop.
      const limitMs = timeoutMs === 0 ? this.#callTimeoutMs : Math.min(leftMs + GRACE_MS, hopMs + this.#callTimeoutMs);
      const limit: Limit = { limitMs, signal, clock: this.#clock, background: options.background === true };
      try {
        const call = () => this.#object(transition, id).watch(transition, id, input, hopMs);
        const output: OutputOf<N> & Watched = outputOf(await within(limit, noAnswer, call));
        if (output.ready) return output;
        failures = 0;
        if (this.#clock.now() >= endsAtMs) throw timedOut(timeoutMs);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof CoordinationError) throw error;
        const fault = faultOf(error, "no");
        if (timeoutMs === 0 || !fault.retryable) throw fault;
        failures++;
        const pauseMs = Math.max(REWATCH.baseDelayMs, fullJitterMs(REWATCH, failures + 1, this.#random()));
        await pause({ ...limit, limitMs: Math.min(pauseMs, Math.max(0, endsAtMs - this.#clock.now())) });
        if (this.#clock.now() >= endsAtMs) throw timedOut(timeoutMs);
      }
    }
  }

  /** @throws {CoordinationError} `unsupported`, always. */
  onWake<M extends WakingMachine>(_machine: M, _wake: Wake<M>): () => void {
    throw new CoordinationError(
      "unsupported",
      "the object delivers: set handlers, webhooks, retry and attemptTimeoutSec on your CoordinatorObject",
    );
  }

  /** A stub for one call: one that is kept breaks with its object, and may not be used by another request. */
  #object(transition: TransitionName, id: string): ObjectMethods {
    const { jurisdiction, locationHint } = this.#options;
    const name = this.#keyPrefix + placeOf(machineOf(transition), id);
    try {
      const { namespace } = this.#options;
      const place = jurisdiction === undefined ? namespace : namespace.jurisdiction(jurisdiction);
      const stub = place.get(place.idFromName(name), locationHint === undefined ? {} : { locationHint });
      return stub as ObjectMethods;
    } catch {
      throw new CoordinationError("misconfigured", "the namespace gave no object: check jurisdiction and locationHint");
    }
  }
}

/** The answer did not come in time. */
class NoAnswer extends Error {}
const noAnswer = (): NoAnswer => new NoAnswer();

/** The platform's own marks on an error. */
interface Marked {
  readonly retryable?: unknown;
  readonly overloaded?: unknown;
  readonly durableObjectReset?: unknown;
}

/** Whether the same call may go better with a fresh stub, and does not make a bad day worse. */
function isTransient(error: unknown): boolean {
  const { retryable, overloaded, durableObjectReset } = Object(error) as Marked;
  if (lacksSql(error)) return false;
  return overloaded !== true && (retryable === true || durableObjectReset === true);
}

/** The platform has no mark for an object whose class was made without SQLite. */
function lacksSql(error: unknown): boolean {
  return error instanceof Error && error.message.includes("SQL is not enabled");
}

/** The platform's texts stay behind: they may quote what the object's own code threw. */
function faultOf(error: unknown, applied: "no" | "unknown"): CoordinationError {
  const { overloaded } = Object(error) as Marked;
  if (overloaded === true) {
    return new CoordinationError("rate_limited", "the object is overloaded", { retryable: true, applied });
  }
  if (isTooLarge(error)) {
    const message = "the call or its answer is larger than one RPC may be: send or read less at a time";
    return new CoordinationError("limit_exceeded", message, { applied });
  }
  if (lacksSql(error)) {
    return new CoordinationError("misconfigured", "the object's class needs new_sqlite_classes in [[migrations]]");
  }
  if (lacksMethod(error)) {
    const message = "the object lacks the method: the namespace's class must extend CoordinatorObject";
    return new CoordinationError("misconfigured", message);
  }
  const message = error instanceof NoAnswer ? "the object did not answer in time" : "the call to the object failed";
  return new CoordinationError("backend_unavailable", message, { retryable: true, applied });
}

function outputOf<Output>(reply: ObjectReply): Output {
  if (typeof reply !== "object" || reply === null || typeof reply.ok !== "boolean") {
    throw new CoordinationError("backend_rejected", "the object's answer has an unknown shape", { applied: "unknown" });
  }
  if (reply.ok) return reply.output as Output;
  throw new CoordinationError(reply.code, reply.message, { retryable: reply.retryable });
}
