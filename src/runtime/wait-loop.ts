import { CoordinationError } from "../errors.js";
import type { AbortListeners } from "../lib/abort-listeners.js";
import type { Clock } from "../lib/clock.js";
import { endOfTurn } from "../lib/turn.js";
import type { Watched, WatchOptions } from "./backend.js";
import { type Polling, WaitPauses } from "./wait-pauses.js";

/** Where a loop looks, and what notifies it. */
export interface WaitSource {
  /** Looks once. The signal aborts when the answer is no longer needed. A source in this process answers at once, without one. */
  look(signal: AbortSignal | undefined): Watched | Promise<Watched>;
  /** Begins to notify of what other processes write. `undefined`: not possible now, so it is tried again later. */
  readonly listen?: ((loop: Notified) => Listening | undefined) | undefined;
  /** Reads the output that a message brings, if the loop asks for just that. */
  readonly read?: ((message: string) => Watched | undefined) | undefined;
  /** How often to look besides. Without it: when notified, and at the instant that the output names. */
  readonly polling?: Polling | undefined;
  /** Listening begins with a look, as a long poll does. */
  readonly looksByListening?: boolean | undefined;
}

/** What a source notifies. */
export interface Notified {
  /** The latest instant at which a waiter's time is over. */
  readonly endsAtMs: number;
  /** The record may have changed. `message`: a write was announced, with its text where one came. */
  notify(message?: { readonly text: string | undefined }): void;
  /** A look of the source's own begins, whose output `heard` will bring. */
  begins(): void;
  /** That look is over. `undefined`: there is nothing new. */
  heard(output: Watched | undefined): void;
  /** Ends every wait with the error, unless the error may pass by itself. */
  failed(error: unknown): error is CoordinationError;
}

/** A subscription or a long poll. */
export interface Listening {
  /** Whether notifications come through, as far as can be known. */
  isLive(): boolean;
  leave(): void;
}

export interface WaitLoopOptions {
  readonly source: WaitSource;
  readonly isLocal: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signals: AbortListeners;
  /** How long after its time a wait still takes an answer that is on its way. */
  readonly graceMs: number;
  /** Called when the last waiter has left. The loop is over then. */
  readonly onEmpty: () => void;
}

/** How one caller waits. */
export interface WaiterOptions extends WatchOptions {
  /** Resolves with the last output when the time is over, though it is not ready. Default: rejects with `wait_timeout`. */
  readonly resolvesLate?: boolean;
}

/** One caller's wait. */
interface Waiter {
  readonly options: WaiterOptions;
  readonly endsAtMs: number;
  /** How many looks had begun when it came. Those may not know what the caller knows. */
  readonly looksBefore: number;
  mayReadLate: boolean;
  readonly resolve: (output: Watched) => void;
  readonly reject: (reason: unknown) => void;
  cancelTimer: () => void;
  stopListening: () => void;
}

/**
 * Looks until the output is ready, for all callers that ask the same: at once, when notified, at the instant that the output
 * names, and from time to time. Failures that pass by themselves are waited out. Each caller keeps its own time and signal.
 *
 * A caller believes an answer whose look began after the caller came. It believes another only if its version is not lower
 * than what such a look saw: an answer that is under way may be of an earlier life of the record.
 */
export class WaitLoop implements Notified {
  readonly #options: WaitLoopOptions;
  readonly #source: WaitSource;
  readonly #pauses: WaitPauses;
  readonly #waiters = new Set<Waiter>();
  /** Those of them that no look has answered which began after they came. */
  readonly #newcomers = new Set<Waiter>();
  /** The lowest version that the others believe. */
  #version = Number.NEGATIVE_INFINITY;
  /** How many of them keep the process alive. */
  #foreground = 0;
  #listening: Listening | undefined;
  /** Ends the look that is under way. A local look needs none: where requests share memory, none may abort another's. */
  #controller: AbortController | undefined;
  #looks = 0;
  #isLooking = false;
  /** Something happened after the look began that is under way. */
  #isStale = false;
  /** A look is due at the end of this turn. */
  #isDue = false;
  /** How many writes were announced, and how many of these a look has seen. */
  #announced = 0;
  #seen = 0;
  #isReadingLate = false;
  #last: Watched | undefined;
  #cancelPause = (): void => {};

  constructor(options: WaitLoopOptions) {
    this.#options = options;
    this.#source = options.source;
    this.#pauses = new WaitPauses(options.source.polling, options.random);
    if (!options.isLocal) this.#controller = new AbortController();
  }

  get endsAtMs(): number {
    let latestMs = 0;
    for (const { endsAtMs } of this.#waiters) latestMs = Math.max(latestMs, endsAtMs);
    return latestMs;
  }

  /** Resolves with the first output that is ready. */
  wait(options: WaiterOptions): Promise<Watched> {
    return new Promise((resolve, reject) => {
      try {
        this.#add(options, resolve, reject);
      } catch (error) {
        if (this.#waiters.size === 0) this.#options.onEmpty();
        throw error;
      }
      this.#pauses.reset();
      if (this.#options.isLocal) this.#look();
      else void this.#lookSoon();
    });
  }

  notify(message?: { readonly text: string | undefined }): void {
    if (message !== undefined) this.#announced++;
    const output = message?.text === undefined ? undefined : this.#source.read?.(message.text);
    if (output?.ready === true) this.#settle(output, 0);
    if (this.#waiters.size > 0) this.#look();
  }

  begins(): void {
    this.#newcomers.clear();
  }

  heard(output: Watched | undefined): void {
    if (output !== undefined) this.#settle(output, 0);
    const nowMs = this.#options.clock.now();
    for (const waiter of this.#waiters) if (waiter.endsAtMs <= nowMs) this.#end(waiter);
  }

  failed(error: unknown): error is CoordinationError {
    if (mayPass(error)) return true;
    for (const waiter of this.#waiters) {
      this.#remove(waiter);
      waiter.reject(error);
    }
    return false;
  }

  #add(options: WaiterOptions, resolve: Waiter["resolve"], reject: Waiter["reject"]): void {
    const { clock, signals, graceMs } = this.#options;
    const { timeoutMs, signal, background = false, lastReadMs = 0 } = options;
    const waiter: Waiter = {
      options,
      endsAtMs: clock.now() + timeoutMs,
      looksBefore: this.#looks,
      mayReadLate: lastReadMs > 0,
      resolve,
      reject,
      cancelTimer: () => {},
      stopListening: () => {},
    };
    // First what may throw: a wait that is refused leaves nothing behind.
    waiter.cancelTimer = clock.setTimer(() => this.#end(waiter), timeoutMs + graceMs, { background });
    if (signal !== undefined) {
      waiter.stopListening = signals.add(signal, () => {
        this.#remove(waiter);
        reject(signal.reason);
      });
    }
    this.#waiters.add(waiter);
    this.#newcomers.add(waiter);
    if (!background) this.#foreground++;
  }

  #remove(waiter: Waiter): void {
    if (!this.#waiters.delete(waiter)) return;
    this.#newcomers.delete(waiter);
    waiter.cancelTimer();
    waiter.stopListening();
    if (waiter.options.background !== true) this.#foreground--;
    if (!this.#needsListening()) {
      this.#listening?.leave();
      this.#listening = undefined;
    }
    if (this.#waiters.size > 0) return;
    this.#cancelPause();
    this.#controller?.abort();
    this.#options.onEmpty();
  }

  /** The waiter's time is over. One that was told of a write and could not read it in time has a little longer. */
  #end(waiter: Waiter): void {
    const { clock } = this.#options;
    const { timeoutMs, background = false, lastReadMs = 0, resolvesLate = false } = waiter.options;
    if (waiter.mayReadLate && this.#announced > this.#seen) {
      waiter.mayReadLate = false;
      waiter.cancelTimer();
      waiter.cancelTimer = clock.setTimer(() => this.#end(waiter), lastReadMs, { background });
      this.#readLate();
      return;
    }
    this.#remove(waiter);
    if (resolvesLate && this.#last !== undefined) waiter.resolve(this.#last);
    else waiter.reject(timedOut(timeoutMs));
  }

  /** Looks afresh: the look that is under way has had its time. */
  #readLate(): void {
    if (this.#isReadingLate) return;
    this.#isReadingLate = true;
    this.#controller?.abort();
    if (!this.#options.isLocal) this.#controller = new AbortController();
    this.#isLooking = false;
    this.#look();
  }

  /** Looks for those who came in this turn, once they all have come. */
  async #lookSoon(): Promise<void> {
    if (this.#isDue) return;
    this.#isDue = true;
    await endOfTurn();
    this.#isDue = false;
    if (this.#waiters.size === 0) return;
    if (this.#source.looksByListening === true && this.#listening === undefined) this.#listen();
    else if (this.#hasNewcomer()) this.#look();
  }

  /** Whether a waiter came after the last look began. */
  #hasNewcomer(): boolean {
    for (const { looksBefore } of this.#newcomers) if (looksBefore === this.#looks) return true;
    return false;
  }

  #look(): void {
    this.#isStale = this.#isLooking;
    if (this.#isLooking) return;
    this.#cancelPause();
    this.#isLooking = true;
    const [number, announced, signal] = [++this.#looks, this.#announced, this.#controller?.signal];
    const saw = (output: Watched): void => {
      if (signal?.aborted !== true) this.#saw(output, number, announced);
    };
    const missed = (error: unknown): void => {
      if (signal?.aborted !== true) this.#missed(error);
    };
    try {
      const answer = this.#source.look(signal);
      if (answer instanceof Promise) void answer.then(saw, missed);
      else saw(answer);
    } catch (error) {
      missed(error);
    }
  }

  #saw(output: Watched, number: number, announced: number): void {
    this.#isLooking = false;
    this.#isReadingLate = false;
    this.#seen = announced;
    this.#last = output;
    this.#settle(output, number);
    this.#listen();
    const isNotified = this.#listening !== undefined || this.#foreground === 0;
    const isLive = this.#listening?.isLive() === true;
    // A long poll looks again on the other side.
    const looksElsewhere = this.#source.looksByListening === true;
    this.#lookAgainIn(() => {
      const pauseMs = this.#pauses.afterLook(output, { isNotified, isLive });
      return looksElsewhere ? undefined : pauseMs;
    });
  }

  #missed(error: unknown): void {
    this.#isLooking = false;
    this.#isReadingLate = false;
    if (this.failed(error)) this.#lookAgainIn(() => this.#pauses.afterFailure(error));
  }

  #lookAgainIn(pause: () => number | undefined): void {
    if (this.#waiters.size === 0 || this.#isLooking) return;
    if (this.#isStale) {
      this.#look();
      return;
    }
    const pauseMs = pause();
    if (pauseMs === undefined) return;
    // The process lives as long as a waiter's own timer keeps it alive.
    this.#cancelPause = this.#options.clock.setTimer(() => this.#look(), pauseMs, { background: true });
  }

  /** Hands an output to those who believe it. `number`: of its look. */
  #settle(output: Watched, number: number): void {
    for (const waiter of this.#newcomers) if (waiter.looksBefore < number) this.#newcomers.delete(waiter);
    if (number > 0) this.#version = output.version;
    if (!output.ready || output.version < this.#version) return;
    deepFreeze(output);
    for (const waiter of this.#waiters) {
      if (this.#newcomers.has(waiter)) continue;
      this.#remove(waiter);
      waiter.resolve(output);
    }
  }

  /** A socket keeps the process alive: in the background it is enough to look from time to time. */
  #needsListening(): boolean {
    return this.#foreground > 0 || (this.#source.looksByListening === true && this.#waiters.size > 0);
  }

  #listen(): void {
    if (this.#listening !== undefined || !this.#needsListening()) return;
    try {
      this.#listening = this.#source.listen?.(this);
    } catch (error) {
      this.failed(error);
    }
  }
}

/** A failure that is waited out. A bound that is reached is told at once. */
function mayPass(error: unknown): error is CoordinationError {
  return error instanceof CoordinationError && error.retryable && !TOLD_AT_ONCE.has(error.code);
}

const TOLD_AT_ONCE: ReadonlySet<string> = new Set(["wait_timeout", "limit_exceeded"]);

/** One output goes to many callers: none of them can change what the others read. */
function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
}

/** What a wait rejects with once its time is over. */
export function timedOut(timeoutMs: number): CoordinationError {
  return new CoordinationError("wait_timeout", `not ready after ${timeoutMs} ms`, { retryable: true });
}
