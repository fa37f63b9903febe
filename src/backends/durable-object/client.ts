import type { RunOptions, Wake, WakingMachine, WatchableTransition, Watched, WatchOptions } from "../../coordinator.js";
import { MAX_ANSWER_BYTES } from "../../core/limits.js";
import { type InputOf, machineOf, type OutputOf, type TransitionName } from "../../core/registry.js";
import { CoordinationError, type CoordinationErrorCode, withApplied } from "../../errors.js";
import type { RetryPolicy } from "../../lib/backoff.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import { isEphemeral } from "../../lib/ephemeral.js";
import { newOp } from "../../lib/ids.js";
import { checkInteger, checkKeyPrefix, checkNumber, MAX_SEC } from "../../lib/validate.js";
import { answerSize, lostAnswer } from "../../runtime/access.js";
import { Joined, type Outcome } from "../../runtime/batcher.js";
import { type Limit, orAborted, within } from "../../runtime/deadline.js";
import { GRACE_MS, longPoll } from "../../runtime/long-poll.js";
import { placeOf } from "../../runtime/placement.js";
import { Primitives } from "../../runtime/primitives.js";
import { sizeOf } from "../../runtime/size.js";
import type { WaitSource } from "../../runtime/wait-loop.js";
import { type Question, Waiters } from "../../runtime/waiters.js";
import { callObject, failureOf, type JoinableCall, outputOf } from "./object-calls.js";

/** The part of a Durable Object binding that is used; every `DurableObjectNamespace` has it. */
export interface ObjectNamespace {
  idFromName(name: string): object;
  get(id: object, options?: { locationHint?: string }): object;
  jurisdiction(jurisdiction: string): ObjectNamespace;
}

/** What the object answers. Errors travel as values: one that is thrown over RPC loses its class and its fields. */
export type ObjectReply =
  | { readonly ok: true; readonly output: object }
  | {
      readonly ok: false;
      readonly code: CoordinationErrorCode;
      readonly message: string;
      readonly retryable: boolean;
      /** The call was not run: the answers to the calls before it took all the room. */
      readonly noRoom?: boolean;
    };

/** What the object answers to a wait: the reply, or that `take` was called with it. */
export type WatchReply = ObjectReply | { readonly ok: true; readonly isTaken: true };

/** What a client gives along with a wait. */
export interface WatchClient {
  /** Names the wait, for `leave`. */
  readonly ticket: string;
  /** Takes a large reply. The object waits for it, so that few of them are on their way at once. */
  take(reply: ObjectReply): void | Promise<void>;
}

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
  /** Runs several, in their order, each by itself and with a reply of its own. Stops at some MB of answers. */
  runMany(calls: readonly ObjectCall[]): ObjectReply[] | Promise<ObjectReply[]>;
  /** Waits until the transition's output is `ready`, or for `timeoutMs`: then the last output comes as it is. */
  watch(transition: string, id: string, input: unknown, timeoutMs: number, client?: WatchClient): Promise<WatchReply>;
  /** Ends the wait that has this ticket: its client has gone. */
  leave(ticket: string): void | Promise<void>;
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

/** The longest that one call waits inside the object. */
export const MAX_HOP_MS = 25_000;
/** The same where a client that leaves cannot tell the object. */
const SILENT_HOP_MS = 10_000;

/** Limits of one RPC, which carries 32 MiB each way. */
const MAX_CALLS = 128;
const MAX_SIZE = 8_388_608;
const RESEND: RetryPolicy = { maxAttempts: 3, baseDelayMs: 50, maxDelayMs: 200 };

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
  readonly #joined: Joined<JoinableCall, object>;
  readonly #waiters: Waiters;

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
    this.#joined = new Joined({
      maxOps: MAX_CALLS,
      maxSize: MAX_SIZE,
      maxAnswerSize: MAX_ANSWER_BYTES,
      lanes: 1,
      retry: RESEND,
      maxQueueMs: callTimeoutMs,
      clock: this.#clock,
      random: this.#random,
      send: (ops, signal) => orAborted(this.#send(ops), signal),
    });
    this.#waiters = new Waiters({
      clock: this.#clock,
      random: this.#random,
      graceMs: GRACE_MS,
      source: (question) => this.#source(question),
      lookOnce: ({ transition, id, input }, signal) => this.run(transition, id, input, { signal }),
    });
  }

  /**
   * Runs one transition in the record's object. Calls on one object that begin in the same turn share an RPC.
   *
   * @throws {CoordinationError} `backend_unavailable` when the object gives no answer; `rate_limited` when it is overloaded, and
   * then the call is not sent again. `applied` is "unknown" for writes in both. `backend_rejected` for a transition that
   * failed inside the object.
   */
  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const applied = lostAnswer(transition);
    const limit: Limit = { limitMs: this.#callTimeoutMs, signal: options.signal, clock: this.#clock };
    const call = { transition, id, input };
    const run = (signal: AbortSignal) =>
      this.#joined.run({
        call,
        record: "",
        group: placeOf(machineOf(transition), id),
        size: sizeOf(call),
        answerSize: answerSize(transition),
        applied,
        resend: options.resend !== false,
        signal,
      });
    return (await within(limit, () => faultOf(noAnswer(), applied), run)) as OutputOf<N>;
  }

  /** Waits in the object, hop by hop; a lost connection is taken up again within the wait's time. */
  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#waiters.watch({ transition, id, input }, options);
  }

  /** @throws {CoordinationError} `unsupported`, always. */
  onWake<M extends WakingMachine>(_machine: M, _wake: Wake<M>): () => void {
    throw new CoordinationError(
      "unsupported",
      "the object delivers: set handlers, webhooks, retry and attemptTimeoutSec on your CoordinatorObject",
    );
  }

  #source(question: Question): WaitSource {
    const { transition, id, input } = question;
    const [clock, random] = [this.#clock, this.#random];
    const maxHopMs = isEphemeral() && this.#options.waitUntil === undefined ? SILENT_HOP_MS : MAX_HOP_MS;
    return {
      looksByListening: true,
      listen: (loop) => longPoll(loop, { clock, random, maxHopMs, hop: (...hop) => this.#hop(question, ...hop) }),
      // The loop looks again by itself.
      look: (signal) => this.run(transition, id, input, { signal, resend: false }),
    };
  }

  /** One wait inside the object. When the signal aborts before its time is over, the object is told. */
  async #hop(question: Question, hopMs: number, signal: AbortSignal): Promise<Watched> {
    const { transition, id, input } = question;
    const [clock, ticket] = [this.#clock, newOp()];
    const endsAtMs = clock.now() + hopMs;
    const stub = this.#object(transition, id);
    const leave = (): void => {
      if (clock.now() < endsAtMs) this.#leave(stub, ticket);
    };
    signal.addEventListener("abort", leave);
    try {
      // A silent object ends the hop, not the wait.
      const limit: Limit = { limitMs: hopMs + this.#callTimeoutMs, signal, clock, background: true };
      let reply: WatchReply | undefined;
      const take = (large: ObjectReply): void => {
        reply = large;
      };
      const answer = await within(limit, noAnswer, () => stub.watch(transition, id, input, hopMs, { ticket, take }));
      return outputOf((reply ?? answer) as ObjectReply);
    } catch (error) {
      throw error instanceof CoordinationError ? error : faultOf(error, "no");
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** An object that is gone, or that runs an earlier version, ends the wait by itself at the end of the hop. */
  #leave(stub: ObjectMethods, ticket: string): void {
    const work = (async () => stub.leave(ticket))().catch(() => {});
    this.#options.waitUntil?.(work);
  }

  async #send(ops: readonly JoinableCall[]): Promise<readonly Outcome<object>[]> {
    const [{ call }] = ops as [JoinableCall];
    return callObject(this.#object(call.transition, call.id), ops);
  }

  /** Returns a stub for one call: a stub that is kept breaks with its object, and other requests may not use it. */
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

/** What a failed call says, with what is known of its write. */
function faultOf(error: unknown, applied: "no" | "unknown"): CoordinationError {
  if (error instanceof NoAnswer) {
    const message = "the object did not answer in time";
    return new CoordinationError("backend_unavailable", message, { retryable: true, applied });
  }
  const fault = failureOf(error).error;
  return withApplied(fault, fault.applied === "unknown" ? applied : "no");
}
