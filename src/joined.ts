import { fullJitterMs, type RetryPolicy } from "./backoff.js";
import type { Clock } from "./clock.js";
import { CoordinationError } from "./errors.js";
import { endOfTurn } from "./turn.js";
import { pause } from "./within.js";

/** An operation that may share a request with others. */
export interface Joinable {
  /** Operations on one record keep their order. */
  readonly record: string;
  /** Operations of different groups never share a request. Default: all of one. */
  readonly group?: string;
  /** How much of a request it takes. */
  readonly size: number;
  /** What a lost answer means. */
  readonly applied: "no" | "unknown";
  /** Whether it may be sent twice. */
  readonly resend: boolean;
  readonly signal: AbortSignal | undefined;
}

/** What became of one operation of a request. */
export type Outcome<Value> = { readonly value: Value } | { readonly error: unknown };

/** How operations are sent. */
export interface Carrier<Op extends Joinable, Value> {
  /** One request takes so many, and so much; an operation that is larger by itself has one of its own. */
  readonly maxOps: number;
  readonly maxSize: number;
  /** How many requests of one turn are under way at once, in each group. */
  readonly lanes: number;
  readonly retry: RetryPolicy;
  /** What has not been sent by then, since others of its turn took so long, fails. */
  readonly maxQueueMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Sends them once, in their order; the signal says that nobody waits any more. Rejects with what befell them all. */
  send(ops: readonly Op[], signal: AbortSignal): Promise<readonly Outcome<Value>[]>;
}

/** Workers open six connections at a time, and a wait may hold one. */
export const HTTP_LANES = 4;
/** Whoever is asked to come back later than this is told so instead. */
const MAX_RETRY_AFTER_MS = 5_000;

/**
 * Sends operations that begin in the same turn of the event loop together. Each keeps its own signal and its own outcome,
 * and those on one record keep their order, unless one has to be sent again.
 */
export class Joined<Op extends Joinable, Value> {
  readonly #carrier: Carrier<Op, Value>;
  /** Those of this turn. */
  #calls: Call<Op, Value>[] = [];

  constructor(carrier: Carrier<Op, Value>) {
    this.#carrier = carrier;
  }

  /** The operation's value. Sends it again, for a passing reason and where that is harmless. */
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
      for (const parts of lanesOf(group, this.#carrier)) void this.#sendAll(parts, endsAtMs);
    }
  }

  async #sendAll(parts: readonly Part<Call<Op, Value>>[], endsAtMs: number): Promise<void> {
    for (const { calls } of parts) {
      if (calls === parts[0]?.calls || this.#carrier.clock.now() < endsAtMs) await this.#send(calls);
      else for (const call of calls) call.fail(unsent());
    }
  }

  /** One request, and again with those that may be sent again. */
  async #send(calls: readonly Call<Op, Value>[]): Promise<void> {
    const { retry, clock, random } = this.#carrier;
    const controller = new AbortController();
    const { signal } = controller;
    for (const call of calls) {
      call.onGone = () => {
        if (calls.every(isOver)) controller.abort();
      };
    }
    let left = calls;
    for (let attempt = 1; ; attempt++) {
      const sent = left.filter((call) => !isOver(call));
      if (sent.length === 0) return;
      const ops = sent.map(({ op }) => op);
      const outcomes = await this.#carrier.send(ops, signal).catch((error: unknown) => ops.map(() => ({ error })));
      let limitMs = fullJitterMs(retry, attempt, random());
      left = sent.filter((call, i) => {
        const waitMs = call.hear(outcomes[i] as Outcome<Value>, attempt < retry.maxAttempts);
        limitMs = Math.max(limitMs, waitMs ?? 0);
        return waitMs !== undefined;
      });
      // It rejects when nobody is left to be told.
      if (left.length > 0) await pause({ limitMs, clock, signal }).catch(() => {});
    }
  }
}

/** An operation and who waits for it. */
class Call<Op extends Joinable, Value> {
  readonly op: Op;
  /** It has its outcome, or its caller has gone. */
  isOver = false;
  onGone = (): void => {};
  readonly #resolve: (value: Value) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAbort = (): void => {
    this.#leave();
    this.#reject(this.op.signal?.reason);
    this.onGone();
  };
  /** One attempt that may have landed is enough. */
  #mayHaveLanded = false;

  constructor(op: Op, resolve: (value: Value) => void, reject: (error: unknown) => void) {
    this.op = op;
    this.#resolve = resolve;
    this.#reject = reject;
    op.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Takes its outcome; or says how long to wait, at least, before it is sent again. */
  hear(outcome: Outcome<Value>, isMore: boolean): number | undefined {
    if ("value" in outcome) {
      this.#leave();
      this.#resolve(outcome.value);
      return undefined;
    }
    const { error } = outcome;
    if (error instanceof CoordinationError) {
      const { retryable, retryAfterMs = 0, applied } = error;
      this.#mayHaveLanded ||= applied === "unknown" && this.op.applied === applied;
      if (isMore && this.op.resend && retryable && retryAfterMs <= MAX_RETRY_AFTER_MS) return retryAfterMs;
    }
    this.fail(error);
    return undefined;
  }

  /** What befell several is told to each by an error of its own. */
  fail(error: unknown): void {
    this.#leave();
    const applied = this.#mayHaveLanded ? "unknown" : "no";
    this.#reject(error instanceof CoordinationError ? retold(error, applied) : error);
  }

  #leave(): void {
    this.isOver = true;
    this.op.signal?.removeEventListener("abort", this.#onAbort);
  }
}

function isOver(call: { readonly isOver: boolean }): boolean {
  return call.isOver;
}

/** The same error with another word on whether it was applied. */
export function retold(error: CoordinationError, applied: "no" | "unknown"): CoordinationError {
  const { code, message, retryable, retryAfterMs, cause } = error;
  const options = { retryable, retryAfterMs, applied };
  return new CoordinationError(code, message, cause === undefined ? options : { ...options, cause });
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

/** What one request carries, and how much of it that is. */
interface Part<Item> {
  readonly calls: Item[];
  size: number;
}

/** As few requests as hold them all, in lanes: one after the other. A record keeps to its lane, and so to its order. */
function lanesOf<Item extends { readonly op: Joinable }>(
  items: readonly Item[],
  { maxOps, maxSize, lanes: count }: Pick<Carrier<Joinable, unknown>, "maxOps" | "maxSize" | "lanes">,
): Part<Item>[][] {
  const lanes: Part<Item>[][] = Array.from({ length: count }, () => []);
  const laneOf = new Map<string, Part<Item>[]>();
  const hasRoom = (lane: Part<Item>[], size: number): boolean => {
    const last = lane.at(-1);
    return last !== undefined && last.calls.length < maxOps && last.size + size <= maxSize;
  };
  let at = 0;
  for (const item of items) {
    const { record, size } = item.op;
    let lane = laneOf.get(record) ?? (lanes[at] as Part<Item>[]);
    if (lane.length > 0 && !laneOf.has(record) && !hasRoom(lane, size)) {
      at = (at + 1) % count;
      lane = lanes[at] as Part<Item>[];
    }
    laneOf.set(record, lane);
    if (!hasRoom(lane, size)) lane.push({ calls: [], size: 0 });
    const part = lane.at(-1) as Part<Item>;
    part.calls.push(item);
    part.size += size;
  }
  return lanes;
}
