import { fullJitterMs } from "../lib/backoff.js";
import type { Watched } from "./backend.js";

/** How often a wait polls, since a notification may be lost. The pause doubles from `minMs` to `maxMs`. */
export interface Polling {
  readonly minMs: number;
  readonly maxMs: number;
  /** The longest pause of a wait that is notified of changes, or whose callers all wait in the background. */
  readonly notifiedMaxMs: number;
}

const AFTER_FAILURE = { maxAttempts: 1, baseDelayMs: 250, maxDelayMs: 2_000 };
/** How long after the named instant the look comes. A look just before it would be wasted. */
const RECHECK_LATE_MS = 10;

/** Decides how long a wait pauses before it looks again. */
export class WaitPauses {
  readonly #polling: Polling | undefined;
  readonly #random: () => number;
  #pollMs: number;
  #failures = 0;

  /** @param polling without it the wait looks when notified, and at the instant that its output names. */
  constructor(polling: Polling | undefined, random: () => number) {
    this.#polling = polling;
    this.#random = random;
    this.#pollMs = polling?.minMs ?? 0;
  }

  /** Starts again with the shortest pause. */
  reset(): void {
    this.#pollMs = this.#polling?.minMs ?? 0;
  }

  /** A look or a long poll was answered. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * Returns the pause after a look; `undefined`: only a notification starts the next look. `isLive`: notifications are
   * known to arrive.
   */
  afterLook(
    { recheckInMs }: Watched,
    { isNotified, isLive }: { readonly isNotified: boolean; readonly isLive: boolean },
  ): number | undefined {
    this.succeeded();
    if (this.#polling === undefined) return recheckInMs === undefined ? undefined : Math.max(1, recheckInMs);
    const { maxMs, notifiedMaxMs } = this.#polling;
    const mostMs = isNotified ? notifiedMaxMs : maxMs;
    const pollMs = isLive ? mostMs : Math.min(this.#pollMs, mostMs);
    this.#pollMs = Math.min(2 * this.#pollMs, mostMs);
    const jitteredMs = pollMs * (0.8 + 0.2 * this.#random());
    return recheckInMs === undefined ? jitteredMs : Math.min(jitteredMs, Math.max(recheckInMs, 0) + RECHECK_LATE_MS);
  }

  /** Returns the pause after a failure: 0.25 to 2 s, growing, or the backend's `retryAfterMs` if that is longer. */
  afterFailure({ retryAfterMs = 0 }: { readonly retryAfterMs?: number | undefined } = {}): number {
    this.#failures++;
    return Math.max(retryAfterMs, fullJitterMs(AFTER_FAILURE, this.#failures + 1, 0.5 + this.#random() / 2));
  }
}
