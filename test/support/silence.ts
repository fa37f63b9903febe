import type { Clock } from "../../src/lib/clock.js";
import { systemClock } from "../../src/lib/clock.js";
import type { Lane } from "./fault-proxy.js";

/** How long a client waits for an answer that does not come. Longer than any pause between two attempts. */
export const SILENCE_MS = 2_500;

const LOOK_MS = 20;

/**
 * Lets a client's timeouts end a request only once its lane has left one in silence since that request began. How long the
 * machine takes for sound ones changes nothing.
 */
export class Silence {
  readonly #lane: Pick<Lane, "silences">;
  readonly #silenceMs: number;

  constructor(lane: Pick<Lane, "silences">, silenceMs = SILENCE_MS) {
    this.#lane = lane;
    this.#silenceMs = silenceMs;
  }

  /** The client's clock. Shorter timers, such as pauses, ring in their time. */
  readonly clock: Clock = {
    now: () => systemClock.now(),
    setTimer: (run, delayMs, options) => {
      if (delayMs < this.#silenceMs) return systemClock.setTimer(run, delayMs, options);
      const before = this.#lane.silences;
      let stop = systemClock.setTimer(() => (stop = this.#afterSilence(before, run)), delayMs, options);
      return () => stop();
    },
  };

  #afterSilence(before: number, end: () => void): () => void {
    const timer = setInterval(() => {
      if (this.#lane.silences === before) return;
      clearInterval(timer);
      end();
    }, LOOK_MS);
    timer.unref();
    return () => clearInterval(timer);
  }
}
