/** Time as a backend that runs in this process sees it; handed in, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /**
   * Calls `run` once, after `delayMs` or a little later; returns a function that calls it off.
   * A `background` timer keeps no process alive.
   */
  setTimer(run: () => void, delayMs: number, options?: { background?: boolean }): () => void;
}

/** The longest that the platforms' timers can wait; one that wants longer rings early and is set again. */
const MAX_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer: (run, delayMs, options) => {
    const timer: unknown = setTimeout(run, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    // Node's timers are objects that can be told not to keep the process; elsewhere they are numbers.
    if (options?.background === true) (timer as { unref?: () => void }).unref?.();
    return () => clearTimeout(timer as number);
  },
};
