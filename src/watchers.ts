import type { Clock } from "./clock.js";
import type { Watched, WatchOptions } from "./coordinator.js";
import { CoordinationError } from "./errors.js";

/**
 * Those who wait for a record of this process: each looks at once, again after every write that notifies, and at the
 * time that its last look named. The write itself makes them look, so that nobody polls.
 */
export class Watchers {
  readonly #clock: Clock;
  readonly #byRecord = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are waiting. */
  get size(): number {
    let size = 0;
    for (const looks of this.#byRecord.values()) size += looks.size;
    return size;
  }

  /** Makes those who wait for the record look again. */
  notify(record: string): void {
    for (const look of [...(this.#byRecord.get(record) ?? [])]) look();
  }

  /** Resolves with the first output of `look` that is ready. */
  watch<Output extends Watched>(record: string, look: () => Output, options: WatchOptions): Promise<Output> {
    const { signal, timeoutMs } = options;
    const timer = { background: options.background === true };
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      let cancelRecheck = (): void => {};
      let cancelTimeout = (): void => {};

      const finish = (settle: () => void): void => {
        cancelRecheck();
        cancelTimeout();
        signal?.removeEventListener("abort", abort);
        this.#remove(record, again);
        settle();
      };
      const abort = (): void => finish(() => reject(signal?.reason));
      const again = (): void => {
        cancelRecheck();
        try {
          const output = look();
          if (output.ready) finish(() => resolve(output));
          else if (output.recheckInMs !== undefined) {
            cancelRecheck = this.#clock.setTimer(again, Math.max(1, output.recheckInMs), timer);
          }
        } catch (error) {
          finish(() => reject(error));
        }
      };

      this.#add(record, again);
      signal?.addEventListener("abort", abort);
      cancelTimeout = this.#clock.setTimer(() => finish(() => reject(timedOut(timeoutMs))), timeoutMs, timer);
      again();
    });
  }

  #add(record: string, look: () => void): void {
    const looks = this.#byRecord.get(record);
    if (looks === undefined) this.#byRecord.set(record, new Set([look]));
    else looks.add(look);
  }

  #remove(record: string, look: () => void): void {
    const looks = this.#byRecord.get(record);
    if (looks?.delete(look) && looks.size === 0) this.#byRecord.delete(record);
  }
}

/** What a wait rejects with once its time is over. */
export function timedOut(timeoutMs: number): CoordinationError {
  return new CoordinationError("wait_timeout", `not ready after ${timeoutMs} ms`, { retryable: true });
}
