import { MAX_ANSWER_BYTES } from "../../core/limits.js";
import { type InputOf, machineOf, type OutputOf, type TransitionName } from "../../core/registry.js";
import { CoordinationError, withApplied } from "../../errors.js";
import type { RetryPolicy } from "../../lib/backoff.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import { inMillis } from "../../lib/duration.js";
import { isEphemeral } from "../../lib/ephemeral.js";
import { newOp } from "../../lib/ids.js";
import { checkInteger, checkKeyPrefix } from "../../lib/validate.js";
import { answerSize, lostAnswer } from "../../runtime/access.js";
import type {
  Backend,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  Watched,
  WatchOptions,
} from "../../runtime/backend.js";
import { Joined, type Outcome } from "../../runtime/batcher.js";
import { type Limit, orAborted, within } from "../../runtime/deadline.js";
import {
  answerOf,
  type IndexCounts,
  itemsOf,
  type ListAnswer,
  type ListedMachine,
  type ListQuery,
} from "../../runtime/listing.js";
import { GRACE_MS, longPoll, MAX_HOP_MS } from "../../runtime/long-poll.js";
import { DEFAULT_KEY_PREFIX, placeOf } from "../../runtime/placement.js";
import { sizeOf } from "../../runtime/size.js";
import type { WaitSource } from "../../runtime/wait-source.js";
import { type Question, Waiters } from "../../runtime/waiters.js";
import { callObject, failureOf, type JoinableCall, outputOf } from "./object-calls.js";
import type { DurableObjectOptions } from "./options.js";
import {
  INDEX_TAG,
  type IndexPage,
  type ObjectMethods,
  type ObjectReply,
  type Reindexed,
  type WatchReply,
} from "./protocol.js";

/** The same limit for a client that cannot end its wait in the object when it leaves. */
const SILENT_HOP_MS = 10_000;

/** How many records a page of the index reads from their own objects. */
const MAX_LIVE = 40;

/** Limits of one RPC. The platform accepts 32 MiB each way. */
const MAX_CALLS = 128;
const MAX_SIZE = 8_388_608;
const RESEND: RetryPolicy = { maxAttempts: 3, baseDelayMs: 50, maxDelayMs: 200 };

/** Runs transitions by calls of the objects that hold the records. */
export class DurableObjectBackend implements Backend {
  readonly #options: DurableObjectOptions;
  readonly #keyPrefix: string;
  readonly #callTimeoutMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #joined: Joined<JoinableCall, object>;
  readonly #waiters: Waiters;

  constructor(options: DurableObjectOptions) {
    const { namespace, keyPrefix = DEFAULT_KEY_PREFIX } = options;
    const callTimeoutMs = inMillis(options.callTimeoutMs, "callTimeoutMs") ?? 10_000;
    if (typeof namespace?.idFromName !== "function") {
      throw new CoordinationError("misconfigured", "namespace must be a Durable Object binding of the Worker");
    }
    checkKeyPrefix(keyPrefix, "keyPrefix");
    checkInteger(callTimeoutMs, "callTimeoutMs", 1, 600_000);
    this.#options = options;
    this.#keyPrefix = keyPrefix;
    this.#callTimeoutMs = callTimeoutMs;
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
   * @throws {CoordinationError} `backend_unavailable` when the object does not answer. `rate_limited` when the object is
   * overloaded: the call is not retried. In both cases `applied` is "unknown" for writes. `backend_rejected` when the
   * transition fails inside the object.
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

  /** Waits in the object, one long poll after another. Reconnects after a lost connection, within the wait's time. */
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

  /**
   * Reads a page of the index object. It may lag behind by some seconds, since objects tell the index 5 s after a change. A
   * page of open records holds 40 at most: each is read from its own object, as it is now.
   */
  async list(query: ListQuery, { signal }: Pick<RunOptions, "signal"> = {}): Promise<ListAnswer> {
    const isOpen = query.order === "oldest";
    const asked = isOpen ? { ...query, limit: Math.min(query.limit, MAX_LIVE) } : query;
    const page = await this.#read<IndexPage & { readonly asOfMs: number; readonly readAtMs?: number }>(
      () => this.#stub(INDEX_TAG).listIndex(asked),
      signal,
    );
    const items = isOpen
      ? await itemsOf({ ...page, lists: query.lists }, (id) => this.run(`${query.machine}.brief`, id, {}, { signal }))
      : page.lines.map(({ id, brief }) => ({ ...brief, id }));
    return answerOf(items, page);
  }

  /** Tells the index of a record again. Returns false for an unknown record. */
  async reindex(machine: ListedMachine, id: string, { signal }: Pick<RunOptions, "signal"> = {}): Promise<boolean> {
    const call = () => this.#stub(placeOf(machine, id)).reindex(machine, id);
    return (await this.#read<Reindexed>(call, signal)).found;
  }

  /** Returns how many groups the index lists: open ones, and ended ones that owe a delivery. */
  async counts({ signal }: Pick<RunOptions, "signal"> = {}): Promise<IndexCounts> {
    return this.#read<IndexCounts>(() => this.#stub(INDEX_TAG).countIndex(), signal);
  }

  /** Makes one call of an object that may be made again, within the time of a call. */
  async #read<Output extends object>(
    call: () => ObjectReply | Promise<ObjectReply>,
    signal: AbortSignal | undefined,
  ): Promise<Output> {
    const limit: Limit = { limitMs: this.#callTimeoutMs, signal, clock: this.#clock };
    return within(
      limit,
      () => faultOf(noAnswer(), "no"),
      async () => {
        try {
          return outputOf<Output>(await call());
        } catch (error) {
          throw error instanceof CoordinationError ? error : faultOf(error, "no");
        }
      },
    );
  }

  #source(question: Question): WaitSource {
    const { transition, id, input } = question;
    const [clock, random] = [this.#clock, this.#random];
    const maxHopMs = isEphemeral() && this.#options.waitUntil === undefined ? SILENT_HOP_MS : MAX_HOP_MS;
    return {
      looksByListening: true,
      listen: (loop) => longPoll(loop, { clock, random, maxHopMs, hop: (...hop) => this.#hop(question, ...hop) }),
      // The wait loop polls again by itself.
      look: (signal) => this.run(transition, id, input, { signal, resend: false }),
    };
  }

  /** One long poll in the object. When the signal aborts first, the client ends the wait in the object. */
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
      // When the object does not answer, this poll ends and the wait goes on.
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

  /** Ends a wait in the object. When this call fails, the wait ends by itself at the poll's timeout. */
  #leave(stub: ObjectMethods, ticket: string): void {
    const work = (async () => stub.leave(ticket))().catch(() => {});
    this.#options.waitUntil?.(work);
  }

  async #send(ops: readonly JoinableCall[]): Promise<readonly Outcome<object>[]> {
    const [{ call }] = ops as [JoinableCall];
    return callObject(this.#object(call.transition, call.id), ops);
  }

  /** Returns a stub for one call. A stored stub breaks with its object, and other requests may not use it. */
  #object(transition: TransitionName, id: string): ObjectMethods {
    return this.#stub(placeOf(machineOf(transition), id));
  }

  #stub(tag: string): ObjectMethods {
    const { jurisdiction, locationHint } = this.#options;
    const name = this.#keyPrefix + tag;
    try {
      const { namespace } = this.#options;
      const place = jurisdiction === undefined ? namespace : namespace.jurisdiction(jurisdiction);
      const stub = place.get(place.idFromName(name), locationHint === undefined ? {} : { locationHint });
      return stub as ObjectMethods;
    } catch {
      throw new CoordinationError(
        "misconfigured",
        "namespace.get returned no object: check jurisdiction and locationHint",
      );
    }
  }
}

/** The object did not answer in time. */
class NoAnswer extends Error {}
const noAnswer = (): NoAnswer => new NoAnswer();

/** Returns the error for a failed call, with `applied` for its write. */
function faultOf(error: unknown, applied: "no" | "unknown"): CoordinationError {
  if (error instanceof NoAnswer) {
    const message = "the object did not answer in time";
    return new CoordinationError("backend_unavailable", message, { retryable: true, applied });
  }
  const fault = failureOf(error).error;
  return withApplied(fault, fault.applied === "unknown" ? applied : "no");
}
