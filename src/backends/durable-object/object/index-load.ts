/** The rate of messages is measured over this time. */
const WINDOW_MS = 10_000;
/**
 * With more messages in that time, half of them should go elsewhere: 250 a second. The platform gives an object some 1,000
 * calls a second. The rest is for a load that doubles again before the lines have moved, and for the moves themselves.
 *
 * @see https://developers.cloudflare.com/durable-objects/reference/faq/#how-much-work-can-a-single-durable-object-do
 */
export const MAX_A_WINDOW = 2_500;

/** Counts the messages of a shard, in memory. */
export class IndexLoad {
  #fromMs = Number.NEGATIVE_INFINITY;
  #messages = 0;
  #isTold = false;

  /** Counts a message. Returns true at most once a window: the shard has too many, or is too large. */
  count(nowMs: number, isLarge: boolean): boolean {
    if (nowMs - this.#fromMs >= WINDOW_MS || nowMs < this.#fromMs) this.restart(nowMs);
    this.#messages++;
    if (this.#isTold || (!isLarge && this.#messages < MAX_A_WINDOW)) return false;
    this.#isTold = true;
    return true;
  }

  /** Begins a new window. */
  restart(nowMs: number): void {
    this.#fromMs = nowMs;
    this.#messages = 0;
    this.#isTold = false;
  }
}
