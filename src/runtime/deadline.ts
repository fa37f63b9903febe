import type { Clock } from "../lib/clock.js";

/** How long something may take, and who may end it sooner. */
export interface Limit {
  readonly limitMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  /** The timer keeps no process alive. */
  readonly background?: boolean;
}

/**
 * The work's outcome; a rejection with what `late` makes once the time is over, or with the signal's reason on its abort,
 * even if the work never ends. The work's own signal then aborts with the same. Leaves no timer and no listener behind.
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
    // From an async function, so that work that throws at once ends here too.
    (async () => work(controller.signal))().finally(finish).then(resolve, reject);
  });
}

/** Resolves after `limitMs`; rejects with the signal's reason on its abort. */
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

/** The work's outcome, or the signal's reason as soon as it aborts; the work itself goes on. */
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
