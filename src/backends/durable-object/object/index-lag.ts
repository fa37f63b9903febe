/** A message is late when it comes more than this after its change: 5 s are the rule, and a call may take as long. */
const LATE_MS = 10_000;
/** The longest pause after which an object tells the index again. */
const LONGEST_PAUSE_MS = 3_600_000;

/**
 * Says how far back an index is complete, from the messages that arrived late, in memory.
 *
 * A message that arrives late was refused before, and with it perhaps others. Those come within a pause that is as long as it
 * was late. So for that time the index is complete only up to the change that the message told.
 */
export class IndexLag {
  #sinceMs = 0;
  #untilMs = Number.NEGATIVE_INFINITY;

  /** A message has arrived that tells a change of this instant. */
  arrived(sinceMs: number, nowMs: number): void {
    const lateMs = nowMs - sinceMs;
    if (lateMs <= LATE_MS) return;
    this.#sinceMs = nowMs < this.#untilMs ? Math.min(this.#sinceMs, sinceMs) : sinceMs;
    this.#untilMs = Math.max(this.#untilMs, nowMs + Math.min(lateMs, LONGEST_PAUSE_MS));
  }

  /** Returns as of when the index is complete: `lagMs` ago, or earlier. */
  asOfMs(nowMs: number, lagMs: number): number {
    const onTimeMs = nowMs - lagMs;
    return nowMs < this.#untilMs ? Math.min(onTimeMs, this.#sinceMs) : onTimeMs;
  }
}
