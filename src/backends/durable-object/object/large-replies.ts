import { CoordinationError } from "../../../errors.js";
import { systemClock } from "../../../lib/clock.js";
import { within } from "../../../runtime/deadline.js";

/** From how many characters on a reply is large. 10,000 waits with smaller replies take less than 80 MB together. */
const LARGE = 8_192;
/** How many large replies are sent at once. The largest status takes about 130 KB. */
const AT_ONCE = 16;
/** A client that takes longer to read its reply loses its place to the next one. */
const TAKE_MS = 5_000;

/** Sends at most 16 large replies at once, to limit memory. The others wait in a queue. */
export class LargeReplies {
  readonly #sizes = new WeakMap<object, number>();
  readonly #waiting: (() => void)[] = [];
  #sending = 0;

  /** Returns whether an output is large. Measures each output once, for all waits that receive it. */
  isLarge(output: object): boolean {
    const size = this.#sizes.get(output) ?? JSON.stringify(output).length;
    this.#sizes.set(output, size);
    return size > LARGE;
  }

  /** Waits for a free place, then runs `send`. Rejects with its error, or after 5 s with a retryable `backend_unavailable`. */
  async send(send: () => Promise<void>): Promise<void> {
    if (this.#sending >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#sending++;
    try {
      await within({ limitMs: TAKE_MS, signal: undefined, clock: systemClock }, notTaken, send);
    } finally {
      // The next waiting reply gets the place.
      const next = this.#waiting.shift();
      if (next === undefined) this.#sending--;
      else next();
    }
  }
}

function notTaken(): CoordinationError {
  return new CoordinationError("backend_unavailable", "the client did not take the reply in time", { retryable: true });
}
