/** How a failed attempt is retried. Attempts are counted from 1. */
export interface RetryPolicy {
  /** How many attempts are made in all, including the first: 1 to 100. */
  readonly maxAttempts: number;
  /** The upper bound of the first pause, in milliseconds. It doubles with each attempt. */
  readonly baseDelayMs: number;
  /** The upper bound of every pause, in milliseconds. */
  readonly maxDelayMs: number;
}

/**
 * Returns the pause after the `attempt`-th failure: a random time between 0 and a bound that doubles ("full jitter").
 *
 * @param random from 0 (inclusive) to 1 (exclusive). Passed in, so that a transition depends on its input alone.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function fullJitterMs(policy: RetryPolicy, attempt: number, random: number): number {
  let ceilingMs = policy.baseDelayMs;
  for (let i = 1; i < attempt && ceilingMs < policy.maxDelayMs; i++) ceilingMs *= 2;
  if (ceilingMs > policy.maxDelayMs) ceilingMs = policy.maxDelayMs;
  return Math.floor(ceilingMs * random);
}
