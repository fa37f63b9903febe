/** How a failed attempt is repeated. Attempts are counted from 1. */
export interface RetryPolicy {
  /** Attempts in all, the first among them. 1 to 100. */
  readonly maxAttempts: number;
  /** The ceiling of the first pause, in milliseconds. It doubles with each attempt. */
  readonly baseDelayMs: number;
  /** No pause's ceiling is longer, in milliseconds. */
  readonly maxDelayMs: number;
}

/**
 * The pause after the `attempt`-th failure: anywhere between 0 and a ceiling that doubles ("full jitter").
 *
 * @param random from 0 (inclusive) to 1 (exclusive), handed in so that a transition stays a function of its input.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function fullJitterMs(policy: RetryPolicy, attempt: number, random: number): number {
  let ceilingMs = policy.baseDelayMs;
  for (let i = 1; i < attempt && ceilingMs < policy.maxDelayMs; i++) ceilingMs *= 2;
  if (ceilingMs > policy.maxDelayMs) ceilingMs = policy.maxDelayMs;
  return Math.floor(ceilingMs * random);
}
