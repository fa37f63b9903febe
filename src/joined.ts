import { fullJitterMs, type RetryPolicy } from "./backoff.js";
import type { Clock } from "./clock.js";
import { CoordinationError } from "./errors.js";
import { pause } from "./within.js";

/** An operation that may share a request with others. */
export interface Joinable {
  /** What it works on. */
  readonly record: string;
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
  readonly retry: RetryPolicy;
  /** What has not been sent by then, since others of its turn took so long, fails. */
  readonly maxQueueMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Sends them once, in their order; the signal says that nobody waits any more. Rejects with what befell them all. */
  send(ops: readonly Op[], signal: AbortSignal): Promise<readonly Outcome<Value>[]>;
}

/**
 * So many steps of the microtask queue after the first operation, the others of its turn have come: public methods take a
 * few before they send. A longer wait, or one for a timer or an answer, must not be: where requests of a Worker share a
 * coordinator, another of them could come in between, and none may wait for what another has sent.
 */
const TURN_STEPS = 10;
/** How many requests of one turn are under way at once. Workers open six connections, of which a wait may hold one. */
const LANES = 4;
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
    for (let step = 0; step < TURN_STEPS; step++) await null;
    const calls = this.#calls;
    this.#calls = [];
    const { clock, maxQueueMs } = this.#carrier;
    const endsAtMs = clock.now() + maxQueueMs;
    for (const { parts } of lanesOf(calls, this.#carrier)) void this.#sendAll(parts, endsAtMs);
  }

  async #sendAll(parts: readonly Call<Op, Value>[][], endsAtMs: number): Promise<void> {
    for (const [i, part] of parts.entries()) {
      if (i === 0 || this.#carrier.clock.now() < endsAtMs) await this.#send(part);
      else for (const call of part) call.fail(unsent());
    }
  }

  /** One request, and again with those that may be sent again. */
  async #send(part: readonly Call<Op, Value>[]): Promise<void> {
    const { retry, clock, random } = this.#carrier;
    const controller = new AbortController();
    const onGone = (): void => {
      if (part.every(({ isOver }) => isOver)) controller.abort();
    };
    for (const call of part) call.onGone = onGone;
    let left = part;
    for (let attempt = 1; ; attempt++) {
      left = left.filter(({ isOver }) => !isOver);
      if (left.length === 0) return;
      const outcomes = await this.#outcomes(left, controller.signal);
      let limitMs = fullJitterMs(retry, attempt, random());
      left = left.filter((call, i) => {
        const outcome = outcomes[i] as Outcome<Value>;
        if ("value" in outcome) return call.end(outcome.value);
        const waitMs = attempt < retry.maxAttempts ? call.waitMs(outcome.error) : undefined;
        if (waitMs === undefined) return call.fail(outcome.error);
        limitMs = Math.max(limitMs, waitMs);
        return true;
      });
      // Nobody is left to be told when it rejects.
      if (left.length > 0) await pause({ limitMs, clock, signal: controller.signal }).catch(() => {});
    }
  }

  async #outcomes(calls: readonly Call<Op, Value>[], signal: AbortSignal): Promise<readonly Outcome<Value>[]> {
    try {
      const ops = calls.map(({ op }) => op);
      return await this.#carrier.send(ops, signal);
    } catch (error) {
      return calls.map(() => ({ error }));
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

  /** How long to wait at least before it is sent again; `undefined`: it is not. */
  waitMs(error: unknown): number | undefined {
    const { op } = this;
    if (!(error instanceof CoordinationError)) return undefined;
    this.#mayHaveLanded ||= error.applied === "unknown" && op.applied === "unknown";
    const { retryable, retryAfterMs = 0 } = error;
    return op.resend && retryable && retryAfterMs <= MAX_RETRY_AFTER_MS ? retryAfterMs : undefined;
  }

  end(value: Value): false {
    this.#leave();
    this.#resolve(value);
    return false;
  }

  /** What befell several is told to each by an error of its own. */
  fail(error: unknown): false {
    this.#leave();
    const isUnknown = (Object(error).applied === "unknown" && this.op.applied === "unknown") || this.#mayHaveLanded;
    this.#reject(error instanceof CoordinationError ? retold(error, isUnknown ? "unknown" : "no") : error);
    return false;
  }

  #leave(): void {
    this.isOver = true;
    this.op.signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** The same error with another word on whether it was applied. */
export function retold(error: CoordinationError, applied: "no" | "unknown"): CoordinationError {
  const { code, message, retryable, retryAfterMs, cause } = error;
  return new CoordinationError(code, message, {
    retryable,
    retryAfterMs,
    applied,
    ...(cause === undefined ? {} : { cause }),
  });
}

function unsent(): CoordinationError {
  const message = "what came before it took so long that it was not sent";
  return new CoordinationError("backend_unavailable", message, { retryable: true });
}

/** Requests that are sent one after the other; the last of them is filled with `size` so far. */
interface Lane<Item> {
  readonly parts: Item[][];
  size: number;
}

/**
 * As few requests as hold them all. A record keeps to one lane, and so its operations to their order.
 */
function lanesOf<Item extends { readonly op: Joinable }>(
  items: readonly Item[],
  { maxOps, maxSize }: { readonly maxOps: number; readonly maxSize: number },
): Lane<Item>[] {
  const lanes: Lane<Item>[] = [];
  const laneOf = new Map<string, Lane<Item>>();
  const lastPart = (lane: Lane<Item> | undefined, size: number): Item[] | undefined => {
    const last = lane?.parts.at(-1);
    return lane && last && last.length < maxOps && lane.size + size <= maxSize ? last : undefined;
  };
  let at = 0;
  for (const item of items) {
    const { record, size } = item.op;
    let lane = laneOf.get(record);
    if (lane === undefined) {
      if (lanes[at] !== undefined && lastPart(lanes[at], size) === undefined) at = (at + 1) % LANES;
      lane = lanes[at] ??= { parts: [], size: 0 };
      laneOf.set(record, lane);
    }
    const part = lastPart(lane, size);
    if (part === undefined) {
      lane.parts.push([item]);
      lane.size = size;
    } else {
      part.push(item);
      lane.size += size;
    }
  }
  return lanes;
}
