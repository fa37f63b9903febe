import { CoordinationError } from "../errors.js";
import type { AbortListeners } from "../lib/abort-listeners.js";
import type { Clock } from "../lib/clock.js";
import { endOfTurn } from "../lib/turn.js";
import type { Watched, WatchOptions } from "./backend.js";
import { WaitPauses } from "./wait-pauses.js";
import type { Listening, Notified, WaitSource } from "./wait-source.js";

export interface WaitLoopOptions {
  readonly source: WaitSource;
  readonly isLocal: boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signals: AbortListeners;
  /** How long after its timeout a wait still takes an answer that is on its way. */
  readonly graceMs: number;
  /** Called when the last waiter has left. The loop has then ended. */
  readonly onEmpty: () => void;
}

/** The options of one caller's wait. */
export interface WaiterOptions extends WatchOptions {
  /** Resolves with the last output at the timeout, though it is not ready. Default: rejects with `wait_timeout`. */
  readonly resolvesLate?: boolean;
}

/** One caller's wait. */
interface Waiter {
  readonly options: WaiterOptions;
  readonly endsAtMs: number;
  /** How many looks had begun when the waiter came. Their answers may be older than what the caller knows. */
  readonly looksBefore: number;
  mayReadLate: boolean;
  readonly resolve: (output: Watched) => void;
  readonly reject: (reason: unknown) => void;
  cancelTimer: () => void;
  stopListening: () => void;
}

/**
 * Looks until the output is ready, for all callers with the same question: at once, when notified, at the instant that
 * the output names, and at intervals. Retries after retryable errors. Each caller keeps its own timeout and signal.
 *
 * A caller accepts the answer of a look that began after the caller came. It accepts another answer only if its version
 * is at least the one that such a look returned. An answer that is under way may belong to an earlier record of the
 * same id.
 */
export class WaitLoop implements Notified {
  readonly #options: WaitLoopOptions;
  readonly #source: WaitSource;
  readonly #pauses: WaitPauses;
  readonly #waiters = new Set<Waiter>();
  /** The waiters that came after the last answered look began. */
  readonly #newcomers = new Set<Waiter>();
  /** The lowest version that the other waiters accept. */
  #version = Number.NEGATIVE_INFINITY;
  /** How many waiters keep the process alive. */
  #foreground = 0;
  #listening: Listening | undefined;
  /** Ends the look that is under way. A local look has none: where requests share memory, one must not abort another's. */
  #controller: AbortController | undefined;
  #looks = 0;
  #isLooking = false;
  /** A notification or a waiter came after the look under way began. */
  #isStale = false;
  /** A look is scheduled for the end of this turn. */
  #isDue = false;
  /** `#announced`: how many writes were notified. `#seen`: how many of them the last look includes. */
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
    // The calls that may throw come first: a wait that is refused leaves nothing behind.
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

  /** Runs at the waiter's timeout. A waiter gets `lastReadMs` more if a notified write has not been read yet. */
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

  /** Starts a new look in place of the one under way, which took too long. */
  #readLate(): void {
    if (this.#isReadingLate) return;
    this.#isReadingLate = true;
    this.#controller?.abort();
    if (!this.#options.isLocal) this.#controller = new AbortController();
    this.#isLooking = false;
    this.#look();
  }

  /** Looks for the waiters of this turn, once all of them have come. */
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
    // During a long poll the server looks again.
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
    // An unref'd timer: the waiter's own timer keeps the process alive.
    this.#cancelPause = this.#options.clock.setTimer(() => this.#look(), pauseMs, { background: true });
  }

  /**
   * Resolves the waiters that accept this output. `number` is the number of its look; 0 for an output that the source
   * received by itself.
   */
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

  /** A socket keeps the process alive. Background waiters poll instead. */
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

/** Whether the error is retried. A timeout or a reached limit rejects at once. */
function mayPass(error: unknown): error is CoordinationError {
  return error instanceof CoordinationError && error.retryable && !TOLD_AT_ONCE.has(error.code);
}

const TOLD_AT_ONCE: ReadonlySet<string> = new Set(["wait_timeout", "limit_exceeded"]);

/** Freezes an output that many callers share, so that no caller changes what the others read. */
function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
}

/** Returns the error of a wait that timed out. */
export function timedOut(timeoutMs: number): CoordinationError {
  return new CoordinationError("wait_timeout", `not ready after ${timeoutMs} ms`, { retryable: true });
}
