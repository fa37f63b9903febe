import type { Clock } from "../lib/clock.js";

/** A time limit, with a signal that may end the work sooner. */
export interface Limit {
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  /** Unref the timer, so that it does not keep the process alive. */
  readonly background?: boolean;
}

/**
 * Resolves with the work's outcome. Rejects with the error of `late` after `limitMs`, or with the signal's reason when
 * it aborts. Rejects even if the work never ends. The work's own signal then aborts with the same reason. Does not
 * leave a timer or a listener behind.
 */
export function within<T>(
  { limitMs, signal, clock, background = false }: Limit,
  late: () => unknown,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const controller = new AbortController();
    const finish = (): void => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (reason: unknown): void => {
      finish();
      reject(reason);
      controller.abort(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const cancel = clock.setTimer(() => giveUp(late()), limitMs, { background });
    signal?.addEventListener("abort", onAbort, { once: true });
    // An async function, so that work that throws synchronously is cleaned up too.
    (async () => work(controller.signal))().finally(finish).then(resolve, reject);
  });
}

/** Resolves after `limitMs`. Rejects with the signal's reason when it aborts. */
export async function pause(limit: Limit): Promise<void> {
  const over = {};
  try {
    await within(
      limit,
      () => over,
      () => new Promise<never>(() => {}),
    );
  } catch (reason) {
    if (reason !== over) throw reason;
  }
}

/** Resolves with the work's outcome. Rejects with the signal's reason as soon as it aborts; does not end the work. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener("abort", abort));
}
