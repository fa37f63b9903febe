import { CoordinationError } from "../../../errors.js";
import { systemClock } from "../../../lib/clock.js";
import { within } from "../../../runtime/deadline.js";

/** A reply of so many characters is large. 10,000 waits that get smaller ones together take less than 80 MB. */
const LARGE = 8_192;
/** How many large replies are on their way at once. The largest status takes some 130 KB. */
const AT_ONCE = 16;
/** A client that takes longer over its reply lets the next one go first. */
const TAKE_MS = 5_000;

/** Sends large replies a few at a time: the next one goes when an earlier one was taken. */
export class LargeReplies {
  readonly #sizes = new WeakMap<object, number>();
  readonly #waiting: (() => void)[] = [];
  #sending = 0;

  /** Measures an output once, however many waits it answers. */
  isLarge(output: object): boolean {
    const size = this.#sizes.get(output) ?? JSON.stringify(output).length;
    this.#sizes.set(output, size);
    return size > LARGE;
  }

  /** Waits for a place, then runs `send`. Rejects with its error, or after 5 s with a retryable `backend_unavailable`. */
  async send(send: () => Promise<void>): Promise<void> {
    if (this.#sending >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#sending++;
    try {
      await within({ limitMs: TAKE_MS, signal: undefined, clock: systemClock }, notTaken, send);
    } finally {
      // The place goes to the next one.
      const next = this.#waiting.shift();
      if (next === undefined) this.#sending--;
      else next();
    }
  }
}

function notTaken(): CoordinationError {
  return new CoordinationError("backend_unavailable", "the client did not take the reply in time", { retryable: true });
}
