import { findTransition, type InputOf, machineOf, type OutputOf, type TransitionName } from "../../core/registry.js";
import { Deliverer } from "../../delivery/deliverer.js";
import { BACKEND_KINDS } from "../../delivery/targets/registry.js";
import { CoordinationError } from "../../errors.js";
import type { RetryPolicy } from "../../lib/backoff.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import { checkId } from "../../lib/validate.js";
import { lostAnswer } from "../../runtime/access.js";
import {
  type Backend,
  checkDrain,
  type DrainOptions,
  type DrainReport,
  type RunOptions,
  type Wake,
  type WakingMachine,
  type WatchableTransition,
  type WatchOptions,
} from "../../runtime/backend.js";
import { Joined, type Outcome as Sent } from "../../runtime/batcher.js";
import { type Limit, within } from "../../runtime/deadline.js";
import { drainQueue } from "../../runtime/drain.js";
import { emit, emitChanges, hookOrWarning, type OnEvent } from "../../runtime/events.js";
import { answerOf, itemsOf, type ListAnswer, type ListQuery } from "../../runtime/listing.js";
import { recordName } from "../../runtime/placement.js";
import type { Listening, Notified, WaitSource } from "../../runtime/wait-source.js";
import { type Question, Waiters } from "../../runtime/waiters.js";
import { Wakers } from "../../runtime/wakers.js";
import type { Operation } from "./call.js";
import { CheckedStore } from "./checked-store.js";
import { type BackendDefinition, callTimeoutMsOf } from "./definition.js";
import { StoreDueQueue } from "./due-queue.js";
import { listName, partsOfName, storeName } from "./names.js";
import { type OperationSettings, RecordOperations } from "./operation.js";
import type { Evaluated } from "./step.js";

const CONTENTION: RetryPolicy = { maxAttempts: 100, baseDelayMs: 10, maxDelayMs: 500 };
/** How many records a drain wakes concurrently. */
const WAKES_AT_ONCE = 8;
/** How many failures of the store one call survives. */
const PATIENCE = 2;
const POLLING = { minMs: 50, maxMs: 2_000, notifiedMaxMs: 5_000 };
/** The default for the largest record, in bytes. Each write loads and stores the whole record. */
const MAX_RECORD_BYTES = 1_048_576;
/** Limits of one load and one compare-and-set, small enough not to block the event loop. */
const MAX_OPS = 1_000;
const MAX_SIZE = 262_144;
/** One attempt: `RecordOperations` retries by itself. */
const ONCE: RetryPolicy = { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 };

/** Options of one operation. */
type OperationOptions = Pick<Operation, "signal" | "resend" | "patience"> & { readonly background?: boolean };
type Outcome<N extends TransitionName> = Omit<Evaluated, "output"> & { readonly output: OutputOf<N> };

/** Runs transitions on records of a store: load, evaluate, compare-and-set. */
export class CustomBackend implements Backend {
  readonly #definition: BackendDefinition;
  readonly #store: CheckedStore;
  readonly #clock: Clock;
  readonly #settings: OperationSettings;
  readonly #joined: Joined<Operation, Evaluated>;
  readonly #onEvent: OnEvent;
  readonly #waiters: Waiters;
  readonly #wakers: Wakers;
  /** The records that this process could not wake, each with the time until which drains skip it. */
  readonly #putOff = new Map<string, number>();

  constructor(definition: BackendDefinition) {
    const { clock = systemClock } = definition;
    this.#definition = definition;
    this.#store = new CheckedStore(definition);
    this.#clock = clock;
    this.#settings = {
      store: this.#store,
      clock,
      random: definition.random ?? Math.random,
      callTimeoutMs: callTimeoutMsOf(definition),
      maxRecordBytes: definition.maxRecordBytes ?? MAX_RECORD_BYTES,
      contention: definition.contention ?? CONTENTION,
    };
    const settings = this.#settings;
    this.#joined = new Joined({
      maxOps: MAX_OPS,
      maxSize: MAX_SIZE,
      lanes: 1,
      retry: ONCE,
      maxQueueMs: settings.callTimeoutMs,
      clock,
      random: settings.random,
      send: async (operations, signal) => {
        const outcomes = await new RecordOperations(settings, operations).run(signal);
        this.#tellChanges(operations, outcomes);
        return outcomes;
      },
    });
    this.#waiters = new Waiters({
      clock,
      random: settings.random,
      source: (question) => this.#source(question),
      lookOnce: ({ transition, id, input }, signal) => this.run(transition, id, input, { signal }),
    });
    const onEvent = hookOrWarning(definition.onEvent, () => clock.now());
    this.#onEvent = onEvent;
    this.#wakers = new Wakers({
      run: (machine, id, input) => this.run(`${machine}.woken`, id, input),
      own: new Deliverer({ coordinator: this, kinds: BACKEND_KINDS, host: { groups: () => this, onEvent } }),
      clock,
      onEvent,
    });
  }

  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const { signal, resend = true, waitUntil } = options;
    const outcome = await this.#operate(transition, id, input, { signal, resend, patience: PATIENCE });
    this.#wakeIfDue(transition, id, outcome, waitUntil);
    return outcome.output;
  }

  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#waiters.watch({ transition, id, input }, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#wakers.add(machine, wake as unknown as Wake<WakingMachine>);
  }

  /** Reads the store's list, and each of its records. For stores that define `list`. */
  async list(query: ListQuery, { signal }: Pick<RunOptions, "signal"> = {}): Promise<ListAnswer> {
    if (this.#definition.list === undefined) {
      throw new CoordinationError("unsupported", "the store has no lists: add the function list to defineBackend");
    }
    const { machine, lists, order, after, limit, olderThanMs } = query;
    const asOfMs = await this.#ask(signal, (inner) => this.#store.now(inner));
    const asked = {
      lists: lists.map((list) => listName(machine, list)),
      order,
      maxAtMs: asOfMs - olderThanMs,
      after: after === undefined ? null : { name: storeName(machine, after.id), atMs: after.atMs },
      limit: limit + 1,
    };
    const found = await this.#ask(signal, (inner) => this.#store.list(asked, inner));
    const lines = found.flatMap(({ name, atMs }) => {
      const parts = partsOfName(name);
      return parts?.machine === machine ? [{ id: parts.id, atMs }] : [];
    });
    const page = { lines: lines.slice(0, limit), isCut: lines.length > limit, asOfMs };
    const items = await itemsOf({ ...page, lists }, (id) => this.run(`${machine}.brief`, id, {}, { signal }));
    return answerOf(items, page);
  }

  async #operate<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: OperationOptions,
  ): Promise<Outcome<N>> {
    checkId(id, "id");
    if (findTransition(transition) === undefined) {
      throw new CoordinationError("invalid_input", "there is no such transition");
    }
    const { signal, resend, patience, background = false } = options;
    const record = storeName(machineOf(transition), id);
    const text = JSON.stringify(input);
    const evaluated = await this.#joined.run({
      transition,
      input: text,
      record,
      group: record,
      size: text.length,
      applied: lostAnswer(transition),
      resend,
      signal,
      patience,
      background,
      endsAtMs: this.#clock.now() + this.#settings.callTimeoutMs,
    });
    if (evaluated.isNotified) this.#waiters.notify(recordName(machineOf(transition), id), evaluated.topics);
    return evaluated as Outcome<N>;
  }

  #source({ transition, id, input }: Question): WaitSource {
    return {
      polling: POLLING,
      look: async (signal) => {
        // The wait loop polls again by itself, so no retry. The waiters' own timers keep the process alive, so `background`.
        const options = { signal, resend: true, patience: 0, background: true };
        const outcome = await this.#operate(transition, id, input, options);
        this.#wakeIfDue(transition, id, outcome, undefined);
        return outcome.output;
      },
      listen: (loop) => this.#listen(storeName(machineOf(transition), id), loop),
    };
  }

  /** Returns `undefined` when the store does not notify, or `subscribe` threw. The wait then polls only. */
  #listen(name: string, loop: Notified): Listening | undefined {
    const definition = this.#definition;
    if (definition.subscribe === undefined) return undefined;
    let unsubscribe: unknown;
    try {
      unsubscribe = definition.subscribe(name, () => loop.notify());
    } catch {
      return undefined;
    }
    if (typeof unsubscribe !== "function") {
      throw new CoordinationError(
        "backend_rejected",
        "subscribe of defineBackend must return a function that ends the subscription",
      );
    }
    const leave = (): void => {
      try {
        unsubscribe();
      } catch {
        // The wait has ended, so a failed unsubscribe does not matter.
      }
    };
    return { isLive: () => false, leave };
  }

  #wakeIfDue<N extends TransitionName>(
    transition: N,
    id: string,
    { due }: Outcome<N>,
    waitUntil: RunOptions["waitUntil"],
  ): void {
    if (due === undefined || transition.endsWith(".woken")) return;
    this.#wakers.wakeSoon(machineOf(transition) as WakingMachine, id, { isFresh: due === "fresh", waitUntil });
  }

  /** Wakes what is due. For stores that define `due`. */
  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    checkDrain(options);
    const { limit = 100, budgetMs = 10_000, signal, waitUntil } = options;
    const nowMs = await this.#ask(signal, (inner) => this.#store.now(inner));
    const queue = new StoreDueQueue({
      nowMs,
      random: this.#settings.random,
      putOff: this.#putOff,
      due: (asked) => this.#ask(signal, (inner) => this.#store.due(asked, inner)),
      ...(this.#store.canPutOff && {
        putOffInStore: (name, atMs) => this.#ask(signal, (inner) => this.#store.putOff(name, atMs, inner)),
      }),
      onFailure: (error) => this.#tellFailure(error),
    });
    const [clock, wakers] = [this.#clock, this.#wakers];
    const pool = wakers.poolOfDrain();
    const pace = { limit, budgetMs, signal, waitUntil, atOnce: WAKES_AT_ONCE, clock, wakers, pool };
    const report = await drainQueue(queue, pace);
    await this.#sweep(nowMs, signal);
    return report;
  }

  /** A failed sweep does not fail the drain: the next drain can remove what has expired. */
  async #sweep(nowMs: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#ask(signal, (inner) => this.#store.sweep(nowMs, inner));
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#tellFailure(error);
    }
  }

  /** Also of calls whose callers have left meanwhile. */
  #tellChanges(operations: readonly Operation[], outcomes: readonly Sent<Evaluated>[]): void {
    for (const [i, outcome] of outcomes.entries()) {
      const record = partsOfName(operations[i]?.record ?? "");
      if ("value" in outcome && record !== undefined) emitChanges(this.#onEvent, record, outcome.value.events);
    }
  }

  #tellFailure(error: unknown): void {
    emit(this.#onEvent, { type: "drain_failed", error });
  }

  /** Calls a function of the store that concerns no single record. */
  #ask<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit: Limit = { limitMs: this.#settings.callTimeoutMs, signal, clock: this.#clock };
    const late = () =>
      new CoordinationError("backend_unavailable", "the backend gave no answer in time", { retryable: true });
    return within(limit, late, ask);
  }
}
