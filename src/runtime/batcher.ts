import { CoordinationError, withApplied } from "../errors.js";
import type { RetryPolicy } from "../lib/backoff.js";
import type { Clock } from "../lib/clock.js";
import { endOfTurn } from "../lib/turn.js";
import { pause } from "./deadline.js";
import { RESEND_WINDOW_MS, retryPauseMs } from "./retry.js";

/** An operation that may share a request with others. */
export interface Joinable {
  /** Operations on one record keep their order. */
  readonly record: string;
  /** Operations of different groups never share a request. Default: one group for all. */
  readonly group?: string;
  /** How much of a request the operation takes, in the units of `maxSize`. */
  readonly size: number;
  /** How much of an answer it may take. @default 0 */
  readonly answerSize?: number;
  /** Whether the write may have been applied when its answer is lost. */
  readonly applied: "no" | "unknown";
  /** Whether it may be sent twice. */
  readonly resend: boolean;
  readonly signal: AbortSignal | undefined;
}

/** The outcome of one operation of a request. */
export type Outcome<Value> =
  | { readonly value: Value }
  /** `resend: false`: sending it again would not help, though the error is retryable. */
  | { readonly error: unknown; readonly resend?: boolean }
  /** The answer had no room for it. This is not an attempt. */
  | { readonly noRoom: CoordinationError };

/** Sends operations, with the limits of one request. */
export interface Carrier<Op extends Joinable, Value> {
  /** Limits of one request. A larger operation gets a request of its own. */
  readonly maxOps: number;
  readonly maxSize: number;
  /** Default: no limit. */
  readonly maxAnswerSize?: number;
  /** How many requests of one turn run at once, in each group. */
  readonly lanes: number;
  /** `maxAttempts` counts the attempts of each operation, over all requests that carry it. */
  readonly retry: RetryPolicy;
  /** How long an operation waits for the requests before it, in milliseconds. After that it fails unsent. */
  readonly maxQueueMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /**
   * Sends the operations once, in their order. The signal aborts when every caller has left. Rejects when the whole
   * request fails.
   */
  send(ops: readonly Op[], signal: AbortSignal): Promise<readonly Outcome<Value>[]>;
}

/** Workers open at most six connections at a time, and a wait may hold one. */
export const HTTP_LANES = 4;

/**
 * Sends operations that begin in the same turn of the event loop together. Each keeps its own signal and its own
 * outcome. Operations on one record keep their order, except those that are resent.
 *
 * The batcher owns the retries of its hop: no carrier resends by itself. It sends an operation at most
 * `retry.maxAttempts` times. When a request gets no answer, the batcher splits its operations into two halves and sends
 * one after the other. So one operation that crashes the server does not fail the others for ever.
 */
export class Joined<Op extends Joinable, Value> {
  readonly #carrier: Carrier<Op, Value>;
  /** The operations of this turn. */
  #calls: Call<Op, Value>[] = [];

  constructor(carrier: Carrier<Op, Value>) {
    this.#carrier = carrier;
  }

  /** Returns the operation's value. Resends it after a retryable error, where `resend` allows that. */
  run(op: Op): Promise<Value> {
    return new Promise((resolve, reject) => {
      op.signal?.throwIfAborted();
      if (this.#calls.push(new Call(op, resolve, reject)) === 1) void this.#endTurn();
    });
  }

  async #endTurn(): Promise<void> {
    await endOfTurn();
    const calls = this.#calls;
    this.#calls = [];
    const { clock, maxQueueMs } = this.#carrier;
    const endsAtMs = clock.now() + maxQueueMs;
    for (const group of groupsOf(calls)) {
      for (const parts of lanesOf(group, this.#carrier)) void this.#sendParts(parts, endsAtMs);
    }
  }

  async #sendParts(parts: readonly Part<Call<Op, Value>>[], endsAtMs: number): Promise<void> {
    for (const { calls } of parts) {
      if (calls === parts[0]?.calls || this.#carrier.clock.now() < endsAtMs) await this.#send(calls, 1);
      else for (const call of calls) call.fail(unsent());
    }
  }

  /** Sends one request, then further ones for the operations that are resent. */
  async #send(calls: readonly Call<Op, Value>[], attempt: number): Promise<void> {
    const { clock } = this.#carrier;
    const nowMs = clock.now();
    const sent = calls.filter((call) => call.begin(nowMs));
    if (sent.length === 0) return;
    const signal = signalOf(sent);
    const outcomes = await this.#exchange(sent, signal);
    const failures = this.#failuresOf(outcomes, attempt);
    const left: Call<Op, Value>[] = [];
    const again: Call<Op, Value>[] = [];
    let limitMs = 0;
    let isInDoubt = false;
    for (const [i, call] of sent.entries()) {
      const outcome = outcomes[i] as Outcome<Value>;
      const failure = failures[i];
      if (failure === undefined) call.succeed((outcome as { readonly value: Value }).value);
      else if (call.hear(failure)) {
        (failure.isUnspent ? left : again).push(call);
        limitMs = Math.max(limitMs, failure.pauseMs ?? 0);
        isInDoubt ||= isDoubt(failure.error);
      }
    }
    await this.#send(left, attempt);
    if (again.length === 0) return;
    // Rejects when every caller has left.
    await pause({ limitMs, clock, signal }).catch(() => {});
    const middle = isInDoubt ? Math.ceil(again.length / 2) : again.length;
    await this.#send(again.slice(0, middle), attempt + 1);
    await this.#send(again.slice(middle), attempt + 1);
  }

  /** Returns the failure of each operation without a value, and whether to resend it. */
  #failuresOf(outcomes: readonly Outcome<Value>[], attempt: number): (Failure | undefined)[] {
    const { retry, random } = this.#carrier;
    // One pause for all operations of this request that are resent.
    const jitter = random();
    const hasProgress = outcomes.some((outcome) => !("noRoom" in outcome));
    return outcomes.map((outcome) => {
      if ("value" in outcome) return undefined;
      if ("noRoom" in outcome && hasProgress) return { error: outcome.noRoom, pauseMs: 0, isUnspent: true };
      const error = "noRoom" in outcome ? outcome.noRoom : outcome.error;
      const isFinal = "resend" in outcome && outcome.resend === false;
      const pauseMs = retryPauseMs(error, attempt, { policy: retry, random: () => jitter });
      return { error, pauseMs: isFinal ? undefined : pauseMs, isUnspent: false };
    });
  }

  async #exchange(calls: readonly Call<Op, Value>[], signal: AbortSignal): Promise<readonly Outcome<Value>[]> {
    const ops = calls.map(({ op }) => op);
    try {
      return await this.#carrier.send(ops, signal);
    } catch (error) {
      return ops.map(() => ({ error }));
    }
  }
}

/** Whether no answer came. One of the operations may be the cause. */
function isDoubt(error: unknown): boolean {
  return !(error instanceof CoordinationError) || error.applied === "unknown";
}

/** Why an operation has no value. */
interface Failure {
  readonly error: unknown;
  /** The pause before another attempt; `undefined`: there is none. */
  readonly pauseMs: number | undefined;
  /** The answer had no room for the operation, which is not an attempt. Only this operation's caller gets the error. */
  readonly isUnspent: boolean;
}

/** An operation and its caller. */
class Call<Op extends Joinable, Value> {
  readonly op: Op;
  /** The operation has its outcome, or its caller has left. */
  isOver = false;
  onGone = (): void => {};
  readonly #resolve: (value: Value) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAbort = (): void => {
    this.#leave();
    this.#reject(this.op.signal?.reason);
    this.onGone();
  };
  #firstSentMs: number | undefined;
  #lastError: unknown;
  /** One earlier attempt may have been applied, so the outcome is unknown from then on. */
  #mayBeApplied = false;

  constructor(op: Op, resolve: (value: Value) => void, reject: (error: unknown) => void) {
    this.op = op;
    this.#resolve = resolve;
    this.#reject = reject;
    op.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Returns whether to send the operation now. Fails it when the resend window is over. */
  begin(nowMs: number): boolean {
    if (this.isOver) return false;
    this.#firstSentMs ??= nowMs;
    if (nowMs <= this.#firstSentMs + RESEND_WINDOW_MS) return true;
    this.fail(this.#lastError);
    return false;
  }

  succeed(value: Value): void {
    this.#leave();
    this.#resolve(value);
  }

  /** Returns whether to resend the operation. Otherwise rejects the caller with the error. */
  hear({ error, pauseMs, isUnspent }: Failure): boolean {
    this.#lastError = error;
    if (error instanceof CoordinationError && error.applied === "unknown" && this.op.applied === "unknown") {
      this.#mayBeApplied = true;
    }
    if (this.op.resend && pauseMs !== undefined) return true;
    if (isUnspent) this.#fail(error);
    else this.fail(error);
    return false;
  }

  /** Rejects the caller with an error object of its own, also when one failure affects several callers. */
  fail(error: unknown): void {
    const applied = this.#mayBeApplied ? "unknown" : "no";
    this.#fail(error instanceof CoordinationError ? withApplied(error, applied) : error);
  }

  #fail(error: unknown): void {
    this.#leave();
    this.#reject(error);
  }

  #leave(): void {
    this.isOver = true;
    this.op.signal?.removeEventListener("abort", this.#onAbort);
  }
}

function isOver(call: { readonly isOver: boolean }): boolean {
  return call.isOver;
}

/** Returns a signal that aborts when the last caller has left. */
function signalOf(calls: readonly { readonly isOver: boolean; onGone: () => void }[]): AbortSignal {
  const controller = new AbortController();
  for (const call of calls) {
    call.onGone = () => {
      if (calls.every(isOver)) controller.abort();
    };
  }
  return controller.signal;
}

function unsent(): CoordinationError {
  const message = "was not sent in time, after others of its turn";
  return new CoordinationError("backend_unavailable", message, { retryable: true });
}

function groupsOf<Item extends { readonly op: Joinable }>(items: readonly Item[]): Iterable<Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const { group = "" } = item.op;
    const others = groups.get(group);
    if (others === undefined) groups.set(group, [item]);
    else others.push(item);
  }
  return groups.values();
}

/** The operations of one request, and their size in the request and in the answer. */
interface Part<Item> {
  readonly calls: Item[];
  size: number;
  answerSize: number;
}

type Limits = Pick<Carrier<Joinable, unknown>, "maxOps" | "maxSize" | "maxAnswerSize" | "lanes">;

/**
 * Packs the operations into as few requests as possible, in lanes. The requests of a lane are sent one after the other.
 * A record stays in its lane, so its operations keep their order.
 */
function lanesOf<Item extends { readonly op: Joinable }>(items: readonly Item[], limits: Limits): Part<Item>[][] {
  const { maxOps, maxSize, maxAnswerSize = Number.POSITIVE_INFINITY } = limits;
  const lanes: Part<Item>[][] = Array.from({ length: limits.lanes }, () => []);
  const laneOf = new Map<string, Part<Item>[]>();
  const hasRoom = (lane: Part<Item>[], { size, answerSize = 0 }: Joinable): boolean => {
    const last = lane.at(-1);
    if (last === undefined || last.calls.length >= maxOps) return false;
    return last.size + size <= maxSize && last.answerSize + answerSize <= maxAnswerSize;
  };
  let at = 0;
  for (const item of items) {
    const { record, size, answerSize = 0 } = item.op;
    let lane = laneOf.get(record) ?? (lanes[at] as Part<Item>[]);
    if (lane.length > 0 && !laneOf.has(record) && !hasRoom(lane, item.op)) {
      at = (at + 1) % lanes.length;
      lane = lanes[at] as Part<Item>[];
    }
    laneOf.set(record, lane);
    if (!hasRoom(lane, item.op)) lane.push({ calls: [], size: 0, answerSize: 0 });
    const part = lane.at(-1) as Part<Item>;
    part.calls.push(item);
    part.size += size;
    part.answerSize += answerSize;
  }
  return lanes;
}
