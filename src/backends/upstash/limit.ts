import { systemClock } from "../../clock.js";

/** A signal that ends with the caller's, or when its time is over. */
export interface Limit {
  readonly signal: AbortSignal;
  /** Ends it at once. */
  end(): void;
  /** Lets go of the timer and of the caller's signal. */
  release(): void;
}

/** `reason` is made when the time is over; `background`: the timer keeps no process alive. */
export function limitSignal(
  signal: AbortSignal | undefined,
  timeoutMs: number,
  { reason, background = false }: { reason: () => unknown; background?: boolean },
): Limit {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  const cancel = systemClock.setTimer(() => controller.abort(reason()), timeoutMs, { background });
  const release = (): void => {
    cancel();
    signal?.removeEventListener("abort", abort);
  };
  return { signal: controller.signal, end: () => controller.abort(), release };
}

/** Somebody's sleep, which others may cut short. A ring while nobody sleeps is kept for the next sleep. */
export class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  readonly ring = (): void => {
    this.#isRung = true;
    this.#wake?.();
  };

  /** Forgets a ring that was kept. */
  reset(): void {
    this.#isRung = false;
  }

  /** Resolves after `delayMs`, at a ring, or when the signal aborts. */
  async sleep(delayMs: number, signal?: AbortSignal, background = false): Promise<void> {
    if (this.#isRung || signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        signal?.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      const cancel = systemClock.setTimer(wake, delayMs, { background });
      signal?.addEventListener("abort", wake, { once: true });
      this.#wake = wake;
    });
  }
}
