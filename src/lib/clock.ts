/** The clock and timers of this process. Passed in, so that tests can control the time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /**
   * Calls `run` once, after `delayMs` or a little later. Returns a function that cancels it. A `background` timer is
   * unref'd: it does not keep the process alive.
   */
  setTimer(run: () => void, delayMs: number, options?: { background?: boolean }): () => void;
}

/** The longest delay of the platforms' timers. A timer with a longer delay fires early. */
const MAX_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer: (run, delayMs, options) => {
    const timer: unknown = setTimeout(run, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    // Node's timers are objects with `unref`; on other platforms they are numbers.
    if (options?.background === true) (timer as { unref?: () => void }).unref?.();
    return () => clearTimeout(timer as number);
  },
};
