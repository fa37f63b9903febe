import { CoordinationError, withApplied } from "../../errors.js";
import { fullJitterMs, type RetryPolicy } from "../../lib/backoff.js";
import type { Clock } from "../../lib/clock.js";
import { newOp } from "../../lib/ids.js";
import { lostAnswer } from "../../runtime/access.js";
import type { Outcome } from "../../runtime/batcher.js";
import { pause, within } from "../../runtime/deadline.js";
import { RESEND_WINDOW_MS, retryPauseMs } from "../../runtime/retry.js";
import type { Operation } from "./call.js";
import type { CheckedStore, Seen } from "./checked-store.js";
import type { NextRecord } from "./definition.js";
import { type Evaluated, type Step, takeStep } from "./step.js";

/** Settings that all operations of a coordinator share. */
export interface OperationSettings {
  readonly store: CheckedStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly callTimeoutMs: number;
  readonly maxRecordBytes: number;
  readonly contention: RetryPolicy;
}

const RESEND: RetryPolicy = { maxAttempts: Number.POSITIVE_INFINITY, baseDelayMs: 100, maxDelayMs: 1_000 };

/**
 * Operations on one record: load, evaluate one after the other, compare-and-set. After a conflict they start over. Each
 * evaluation begins from the record as it is stored then. A result is only written over the version that it was made from.
 *
 * Recovers from lost replies: each write carries a stamp, and a record with that stamp proves that the write was applied.
 * While the record has its old version, sending again is safe too: only one of two writes over one version succeeds.
 */
export class RecordOperations {
  readonly #settings: OperationSettings;
  readonly #name: string;
  readonly #operations: readonly Operation[];
  readonly #outcomes = new Map<Operation, Outcome<Evaluated>>();
  /** The results of each write that was sent, by its stamp. */
  readonly #sent = new Map<string, ReadonlyMap<Operation, Evaluated>>();
  /** The writes among them without an answer. The fields below hold the version that the last one expected, and its error. */
  readonly #unanswered = new Set<string>();
  #unansweredVersion: string | null = null;
  #firstSentMs = Number.POSITIVE_INFINITY;
  #lostBy: unknown;
  #conflicts = 0;
  #failures = 0;

  constructor(settings: OperationSettings, operations: readonly Operation[]) {
    this.#settings = settings;
    this.#name = operations[0]?.record ?? "";
    this.#operations = operations;
  }

  /** Returns the outcome of each operation, in their order. Never rejects. */
  async run(signal: AbortSignal): Promise<Outcome<Evaluated>[]> {
    const { clock } = this.#settings;
    const limitMs = Math.max(1, Math.min(...this.#operations.map(({ endsAtMs }) => endsAtMs)) - clock.now());
    const late = () => (this.#conflicts > 0 ? this.#contended() : unavailable("the backend gave no answer in time"));
    try {
      await within({ limitMs, signal, clock, background: this.#isBackground }, late, (inner) => this.#attempts(inner));
    } catch (error) {
      this.#failAll(error);
    }
    return this.#operations.map((operation) => this.#outcomes.get(operation) as Outcome<Evaluated>);
  }

  /** The operations that have no outcome yet. */
  get #open(): Operation[] {
    return this.#operations.filter((operation) => !this.#outcomes.has(operation));
  }

  get #isBackground(): boolean {
    return this.#operations.every(({ background }) => background);
  }

  async #attempts(signal: AbortSignal): Promise<void> {
    const { clock } = this.#settings;
    for (;;) {
      const failure = await this.#attempt(signal).catch((error: unknown) => {
        if (signal.aborted || !(error instanceof CoordinationError)) throw error;
        return error;
      });
      const limitMs = failure === undefined ? this.#afterConflict() : this.#afterFailure(failure);
      if (this.#open.length === 0) return;
      await pause({ limitMs, signal, clock, background: this.#isBackground });
    }
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const seen = await this.#settings.store.read(this.#name, signal);
    // The callers have received a timeout error: nothing may be written after it.
    signal.throwIfAborted();
    this.#findLanded(seen);
    // Their callers have left. Open, they would count as contention until the others' time is over.
    for (const operation of this.#open) if (operation.signal?.aborted) this.#fail(operation, operation.signal.reason);
    const open = this.#open;
    if (open.length === 0) return;
    const step = takeStep(seen, open, { stamp: newOp(), maxBytes: this.#settings.maxRecordBytes });
    for (const [operation, error] of step.failed) this.#fail(operation, error);
    if (step.next === undefined || (await this.#send(seen, step, step.next, signal))) this.#succeed(step.evaluated);
  }

  /** Checks whether the stored record is the result of an earlier write. */
  #findLanded({ record }: Seen): void {
    const landed = this.#sent.get(record?.stamp ?? "");
    if (landed !== undefined) this.#succeed(landed);
    else if (this.#unanswered.size > 0 && (record === undefined || record.version !== this.#unansweredVersion)) {
      // An overwritten record remembers its operations for a minute.
      const isKnown = this.#settings.clock.now() <= this.#firstSentMs + RESEND_WINDOW_MS;
      for (const operation of this.#open) {
        // The write may have been applied and overwritten: evaluating it again might count it twice.
        if (!operation.resend || !isKnown) this.#fail(operation, this.#lostBy);
      }
    }
  }

  async #send({ record }: Seen, step: Step, next: NextRecord | null, signal: AbortSignal): Promise<boolean> {
    const version = record?.version ?? null;
    this.#sent.set(step.stamp, step.evaluated);
    this.#unanswered.add(step.stamp);
    this.#firstSentMs = Math.min(this.#firstSentMs, this.#settings.clock.now());
    this.#unansweredVersion = version;
    let isAnswered = true;
    try {
      return await this.#settings.store.compareAndSet(this.#name, version, next, signal);
    } catch (error) {
      isAnswered = error instanceof CoordinationError && error.applied === "no";
      this.#lostBy = error;
      throw error;
    } finally {
      if (isAnswered) this.#unanswered.delete(step.stamp);
    }
  }

  #afterConflict(): number {
    if (this.#open.length === 0) return 0;
    const { contention, random } = this.#settings;
    this.#conflicts++;
    if (this.#conflicts >= contention.maxAttempts) this.#failAll(this.#contended());
    return fullJitterMs(contention, this.#conflicts, random());
  }

  #afterFailure(error: CoordinationError): number {
    this.#failures++;
    const pauseMs = retryPauseMs(error, this.#failures, { policy: RESEND, random: this.#settings.random });
    for (const operation of this.#open) {
      if (pauseMs === undefined || this.#failures > operation.patience) this.#fail(operation, error);
    }
    return pauseMs ?? 0;
  }

  #succeed(evaluated: ReadonlyMap<Operation, Evaluated>): void {
    for (const operation of this.#open) {
      const value = evaluated.get(operation);
      if (value !== undefined) this.#outcomes.set(operation, { value });
    }
  }

  #failAll(error: unknown): void {
    for (const operation of this.#open) this.#fail(operation, error);
  }

  /** Sets `applied` for the whole operation: one of its earlier writes may have been applied without an answer. */
  #fail(operation: Operation, error: unknown): void {
    const applied = this.#unanswered.size > 0 ? lostAnswer(operation.transition) : "no";
    this.#outcomes.set(operation, { error: error instanceof CoordinationError ? withApplied(error, applied) : error });
  }

  #contended(): CoordinationError {
    return unavailable(
      `other writers changed the record before this one, ${this.#conflicts} times: write to it less often at once`,
    );
  }
}

function unavailable(message: string): CoordinationError {
  return new CoordinationError("backend_unavailable", message, { retryable: true });
}
