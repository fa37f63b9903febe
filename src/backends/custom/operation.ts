import { lostAnswer } from "../../access.js";
import { fullJitterMs, type RetryPolicy } from "../../backoff.js";
import type { Clock } from "../../clock.js";
import { openDraft } from "../../draft.js";
import { CoordinationError } from "../../errors.js";
import { applyTransition, type InputOf, machineOf, type OutputOf, type TransitionName } from "../../machines/index.js";
import { newOp } from "../../op.js";
import { TransitionRefused } from "../../platform.js";
import type { Changes } from "../../store.js";
import { pause, within } from "../../within.js";
import type { CheckedStore, Seen } from "./checked-store.js";
import type { NextRecord } from "./definition.js";
import { storeName } from "./names.js";
import { changed, rowsOf, writeContent } from "./record.js";

/** What all operations of a coordinator have in common. */
export interface OperationSettings {
  readonly store: CheckedStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly callTimeoutMs: number;
  readonly maxRecordBytes: number;
  readonly contention: RetryPolicy;
}

export interface OperationOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether applying it twice does no harm. */
  readonly resend: boolean;
  /** How many failures of the store it lives with, the last one not among them. */
  readonly patience: number;
  /** Its timers keep no process alive. */
  readonly background?: boolean;
}

/** What an operation came to. */
export interface Outcome<N extends TransitionName> {
  readonly output: OutputOf<N>;
  /** Somebody should wake the record: `fresh`, since this very step made it due, or `still`. */
  readonly due: "fresh" | "still" | undefined;
  readonly isNotified: boolean;
}

/** One evaluation of the transition: what it says, and what has to be stored first. */
interface Step<N extends TransitionName> {
  readonly outcome: Outcome<N>;
  readonly stamp: string;
  /** `undefined`: nothing changes. */
  readonly next: NextRecord | null | undefined;
}

const RESEND = { maxAttempts: 1, baseDelayMs: 100, maxDelayMs: 1_000 };
/** A longer wish of the store's is the caller's to grant. */
const MAX_RETRY_AFTER_MS = 5_000;

/**
 * One transition on one record: load, evaluate, compare-and-set, and from the beginning when somebody else was first.
 * Each evaluation begins from what is stored then; a result is never written onto another record than it was made from.
 *
 * A reply that is lost is looked for: each write carries a stamp, and a record that bears it says that the write landed.
 * While the record has its old version, sending again is harmless too: of two writes onto one version one can win.
 */
export class Operation<N extends TransitionName> {
  readonly #settings: OperationSettings;
  readonly #options: OperationOptions;
  readonly #transition: N;
  readonly #name: string;
  /** As text, so that no evaluation can change it for the next. */
  readonly #input: string;
  /** What each write that was sent would say, by its stamp. */
  readonly #sent = new Map<string, Outcome<N>>();
  /** The writes among them that nobody answered, the version that the last of them was for, and what came instead. */
  readonly #unanswered = new Set<string>();
  #unansweredVersion: string | null = null;
  #lostBy: unknown;
  /** Nothing that could still be done is harmless. */
  #isOver = false;
  #conflicts = 0;
  #failures = 0;

  constructor(
    settings: OperationSettings,
    options: OperationOptions,
    what: { readonly transition: N; readonly id: string; readonly input: InputOf<N> },
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#transition = what.transition;
    this.#name = storeName(machineOf(what.transition), what.id);
    this.#input = JSON.stringify(what.input);
  }

  /** @throws {CoordinationError} what the store threw; `backend_unavailable` when the record is contended, or time is over. */
  run(): Promise<Outcome<N>> {
    const { callTimeoutMs: limitMs, clock } = this.#settings;
    const { signal, background = false } = this.#options;
    const late = () =>
      this.#conflicts > 0 ? this.#contended() : this.#unavailable("the backend gave no answer in time");
    return within({ limitMs, signal, clock, background }, late, (inner) => this.#attempts(inner));
  }

  async #attempts(signal: AbortSignal): Promise<Outcome<N>> {
    const { clock } = this.#settings;
    const { background = false } = this.#options;
    for (;;) {
      const end = await this.#attempt(signal).catch((error: unknown) => {
        if (signal.aborted || !(error instanceof CoordinationError)) throw error;
        return error;
      });
      if (end !== undefined && !(end instanceof CoordinationError)) return end;
      const limitMs = end === undefined ? this.#afterConflict() : this.#afterFailure(end);
      await pause({ limitMs, signal, clock, background });
    }
  }

  /** `undefined`: somebody else was first. */
  async #attempt(signal: AbortSignal): Promise<Outcome<N> | undefined> {
    const seen = await this.#settings.store.read(this.#name, signal);
    // Whoever called has been told that it is over: nothing may be written any more.
    signal.throwIfAborted();
    const landed = this.#findLanded(seen);
    if (landed !== undefined) return landed;
    const step = this.#evaluate(seen);
    if (step.next === undefined) return step.outcome;
    return (await this.#send(seen, step, step.next, signal)) ? step.outcome : undefined;
  }

  /** The outcome of an earlier attempt whose write is what is stored now. */
  #findLanded({ record }: Seen): Outcome<N> | undefined {
    const landed = record && this.#sent.get(record.content.stamp);
    if (landed !== undefined || this.#unanswered.size === 0) return landed;
    const isUntouched = record !== undefined && record.version === this.#unansweredVersion;
    if (isUntouched || this.#options.resend) return undefined;
    // It may have landed and been overwritten: evaluating again might count it twice.
    this.#isOver = true;
    throw this.#lostBy;
  }

  #evaluate({ nowMs, record }: Seen): Step<N> {
    const before = record?.content;
    let changes: Changes;
    let output: OutputOf<N>;
    try {
      const draft = openDraft(rowsOf(before), nowMs);
      output = applyTransition(this.#transition, draft.store, JSON.parse(this.#input) as InputOf<N>);
      changes = draft.changes();
    } catch (cause) {
      const reason = cause instanceof TransitionRefused ? cause.reason : "the transition failed";
      throw new CoordinationError("backend_rejected", `${this.#transition}: ${reason}`, { cause });
    }
    const { wakeAtMs = null, untilMs = null, dirty } = changes;
    const outcome: Outcome<N> = { output, due: dueOf(changes, nowMs), isNotified: changes.notified };
    const stamp = newOp();
    const after = dirty ? changed(before, changes, stamp) : before;
    if (after === before) return { outcome, stamp, next: undefined };
    if (after === undefined) return { outcome, stamp, next: null };
    const data = this.#checkSize(writeContent(after));
    return { outcome, stamp, next: { version: stamp, data, expiresAtMs: untilMs, wakeAtMs } };
  }

  #checkSize(data: string): string {
    const { maxRecordBytes } = this.#settings;
    // A UTF-16 unit takes three bytes at most.
    if (data.length * 3 <= maxRecordBytes || new TextEncoder().encode(data).length <= maxRecordBytes) return data;
    throw new CoordinationError("limit_exceeded", "the record would be larger than the backend takes");
  }

  async #send({ record }: Seen, step: Step<N>, next: NextRecord | null, signal: AbortSignal): Promise<boolean> {
    const version = record?.version ?? null;
    this.#sent.set(step.stamp, step.outcome);
    this.#unanswered.add(step.stamp);
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
    const { contention, random } = this.#settings;
    this.#conflicts++;
    if (this.#conflicts >= contention.maxAttempts) throw this.#contended();
    return fullJitterMs(contention, this.#conflicts, random());
  }

  #afterFailure(error: CoordinationError): number {
    this.#failures++;
    const waitMs = error.retryAfterMs ?? 0;
    const isEnough = this.#failures > this.#options.patience || waitMs > MAX_RETRY_AFTER_MS;
    if (isEnough || this.#isOver || !error.retryable) throw this.#explained(error);
    return Math.max(waitMs, fullJitterMs(RESEND, this.#failures, this.#settings.random()));
  }

  /** Whether one of the writes may have landed that nobody will be told of. */
  get #applied(): "no" | "unknown" {
    return this.#unanswered.size > 0 ? lostAnswer(this.#transition) : "no";
  }

  #contended(): CoordinationError {
    return this.#unavailable(`too many write this record at once: others were first ${this.#conflicts} times`);
  }

  #unavailable(message: string): CoordinationError {
    return new CoordinationError("backend_unavailable", message, { retryable: true, applied: this.#applied });
  }

  /** What one call threw, with what is known of the whole operation. */
  #explained(error: CoordinationError): CoordinationError {
    if (error.applied === this.#applied) return error;
    const { code, message, retryable, retryAfterMs, cause } = error;
    const options = { retryable, retryAfterMs, applied: this.#applied };
    return new CoordinationError(code, message, cause === undefined ? options : { ...options, cause });
  }
}

function dueOf({ wakeAtMs, wakeChanged }: Changes, nowMs: number): "fresh" | "still" | undefined {
  if (wakeAtMs === undefined || wakeAtMs > nowMs) return undefined;
  return wakeChanged ? "fresh" : "still";
}
