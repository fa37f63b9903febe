import { CoordinationError } from "../errors.js";
import { fullJitterMs, type RetryPolicy } from "../lib/backoff.js";
import type { Clock } from "../lib/clock.js";

/** The longest `Retry-After` that a call waits out, in milliseconds. If it is longer, the call fails instead of retrying. */
export const MAX_RETRY_AFTER_MS = 5_000;

/**
 * How long after its first attempt a write may be resent, in milliseconds. Records remember their writes for a minute
 * (`src/core/recent-operations.ts`): a later copy would count twice.
 */
export const RESEND_WINDOW_MS = 45_000;

export interface PausePolicy {
  readonly policy: RetryPolicy;
  /** From 0 to 1, for the jitter. */
  readonly random: () => number;
  /** Default `MAX_RETRY_AFTER_MS`. */
  readonly maxRetryAfterMs?: number;
}

/** Returns the pause before the next attempt, in milliseconds; `undefined` when the call fails instead. */
export function retryPauseMs(error: unknown, attempt: number, options: PausePolicy): number | undefined {
  const { policy, random, maxRetryAfterMs = MAX_RETRY_AFTER_MS } = options;
  if (!(error instanceof CoordinationError) || !error.retryable || attempt >= policy.maxAttempts) return undefined;
  const { retryAfterMs = 0 } = error;
  if (retryAfterMs > maxRetryAfterMs) return undefined;
  return Math.max(retryAfterMs, fullJitterMs(policy, attempt, random()));
}

export interface RetryOptions extends PausePolicy {
  readonly clock: Clock;
  /** No attempt begins after this instant. */
  readonly endsAtMs: number;
}

/** Returns the result of the work, and repeats the work after retryable errors. Rejects with the last error. */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, endsAtMs } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const pauseMs = retryPauseMs(error, attempt, options);
      if (pauseMs === undefined || clock.now() + pauseMs >= endsAtMs) throw error;
      await new Promise<void>((resolve) => void clock.setTimer(resolve, pauseMs));
    }
  }
}
