import { fullJitterMs } from "../../backoff.js";
import type { Clock } from "../../clock.js";
import type { Watched, WatchOptions } from "../../coordinator.js";
import { CoordinationError } from "../../errors.js";
import { timedOut } from "../../watchers.js";
import { type Limit, within } from "../../within.js";

/** What a watch needs of its coordinator. */
export interface Watch<Output extends Watched> {
  readonly clock: Clock;
  readonly random: () => number;
  look(signal: AbortSignal | undefined): Promise<Output>;
  /** Has `ring` called after writes of this very instance. */
  listen(ring: () => void): () => void;
  /** Has `ring` called after everybody's writes, where the store can. */
  readonly subscribe: ((ring: () => void) => () => void) | undefined;
}

/**
 * Looks until the output is ready: at once, at each ring, at the instant that the output names, and from time to time.
 * Failures that pass are waited out. Ends on time whatever the store does, and leaves no timer and no listener behind.
 */
export async function watchUntilReady<Output extends Watched>(
  watch: Watch<Output>,
  { timeoutMs, signal, background = false }: WatchOptions,
): Promise<Output> {
  const late = () => timedOut(timeoutMs);
  if (timeoutMs === 0) {
    const seen = await watch.look(signal);
    if (seen.ready) return seen;
    throw late();
  }
  const limit: Limit = { limitMs: timeoutMs, signal, clock: watch.clock, background };
  return within(limit, late, (inner) => lookUntilReady(watch, { ...limit, signal: inner }));
}

async function lookUntilReady<Output extends Watched>(watch: Watch<Output>, limit: WatchLimit): Promise<Output> {
  const bell = new Bell();
  const pauses = new Pauses(watch.random, limit.background === true);
  const leave = watch.listen(bell.ring);
  let unsubscribe: (() => void) | undefined;
  try {
    for (;;) {
      bell.reset();
      const seen = await watch.look(limit.signal).catch(passingFailure);
      if ("ready" in seen && seen.ready) return seen;
      // A socket would keep the process alive: in the background it is enough to look from time to time.
      if (limit.background !== true) unsubscribe ??= subscribed(watch, bell.ring);
      const limitMs = "ready" in seen ? pauses.afterLook(seen, unsubscribe !== undefined) : pauses.afterFailure(seen);
      await bell.sleep({ ...limit, limitMs });
    }
  } finally {
    leave();
    unsubscribe?.();
  }
}

/** The wait's limit, with the signal that ends it. */
type WatchLimit = Limit & { readonly signal: AbortSignal };

/** `undefined`: there is nothing to hear, or not now. Looking from time to time is enough. */
function subscribed<Output extends Watched>({ subscribe }: Watch<Output>, ring: () => void): (() => void) | undefined {
  let unsubscribe: unknown;
  try {
    unsubscribe = subscribe?.(ring);
  } catch {
    return undefined;
  }
  if (subscribe === undefined) return undefined;
  if (typeof unsubscribe !== "function") {
    throw new CoordinationError("backend_rejected", "the backend's subscribe must give a function that ends it");
  }
  return () => {
    try {
      unsubscribe();
    } catch {
      // The wait has come to its end all the same.
    }
  };
}

/** A failure that may pass; any other is thrown on. */
function passingFailure(error: unknown): CoordinationError {
  if (error instanceof CoordinationError && error.retryable) return error;
  throw error;
}

const POLL_MIN_MS = 50;
const POLL_MAX_MS = 2_000;
/** For who hears of writes, or is in no hurry. */
const POLL_SLOW_MS = 5_000;
const ABSORB = { maxAttempts: 1, baseDelayMs: 250, maxDelayMs: 2_000 };
/** So long after the named instant: a look that comes a moment early is for nothing. */
const RECHECK_LATE_MS = 10;

/** How long to wait before looking all the same. */
class Pauses {
  readonly #random: () => number;
  readonly #background: boolean;
  #pollMs = POLL_MIN_MS;
  #failures = 0;

  constructor(random: () => number, background: boolean) {
    this.#random = random;
    this.#background = background;
  }

  afterLook({ recheckInMs }: Watched, isSubscribed: boolean): number {
    this.#failures = 0;
    const jitteredMs = this.#pollMs * (0.8 + 0.2 * this.#random());
    this.#pollMs = Math.min(2 * this.#pollMs, isSubscribed || this.#background ? POLL_SLOW_MS : POLL_MAX_MS);
    return recheckInMs === undefined ? jitteredMs : Math.min(jitteredMs, Math.max(recheckInMs, 0) + RECHECK_LATE_MS);
  }

  afterFailure({ retryAfterMs = 0 }: CoordinationError): number {
    this.#failures++;
    return Math.max(retryAfterMs, fullJitterMs(ABSORB, this.#failures, 0.5 + this.#random() / 2));
  }
}

/** Somebody's sleep, which others may cut short. A ring while nobody sleeps is kept for the next sleep. */
class Bell {
  #isRung = false;
  #wake = (): void => {};

  readonly ring = (): void => {
    this.#isRung = true;
    this.#wake();
  };

  /** Forgets a ring that was kept. */
  reset(): void {
    this.#isRung = false;
  }

  /** Resolves at the limit or at a ring; rejects when the signal aborts. */
  async sleep(limit: Limit): Promise<void> {
    if (this.#isRung) return;
    const over = {};
    const rung = () =>
      new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    try {
      await within(limit, () => over, rung);
    } catch (reason) {
      if (reason !== over) throw reason;
    }
  }
}

/** Those who wait for records of this instance, and hear of its own writes at once. */
export class Bells {
  readonly #byRecord = new Map<string, Set<() => void>>();

  /** For how many records somebody waits. */
  get size(): number {
    return this.#byRecord.size;
  }

  join(record: string, ring: () => void): () => void {
    const rings = this.#byRecord.get(record) ?? new Set();
    this.#byRecord.set(record, rings.add(ring));
    return () => {
      if (rings.delete(ring) && rings.size === 0) this.#byRecord.delete(record);
    };
  }

  ring(record: string): void {
    for (const ring of [...(this.#byRecord.get(record) ?? [])]) ring();
  }
}
