import { CoordinationError } from "../errors.js";
import { systemClock } from "../lib/clock.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkNumber } from "../lib/validate.js";
import { within } from "../runtime/deadline.js";
import type { CallOptions } from "./call-options.js";

/** How long a call waits. */
export interface WaitCallOptions extends CallOptions {
  /**
   * How long to wait, in milliseconds: 0 to a day. 0: looks once.
   *
   * @default 30_000
   */
  readonly timeoutMs?: number | undefined;
}

/** How a wait watches for the end, and how it looks when the end has not come. */
export interface EndAndLook<Output> {
  watch(options: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined }): Promise<Output>;
  look(signal: AbortSignal | undefined): Promise<Output>;
}

const WAIT_OPTIONS: Names<WaitCallOptions> = { timeoutMs: true, signal: true };
const DEFAULT_WAIT_MS = 30_000;
const MAX_WAIT_MS = 86_400_000;
/** The share of a wait that is kept for its last look, and the most that is kept. */
const LOOK_SHARE = 1 / 4;
const LOOK_MS = 500;

/** @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. */
export function checkWait(options: WaitCallOptions): { timeoutMs: number; signal: AbortSignal | undefined } {
  checkOptions(options, WAIT_OPTIONS);
  const { timeoutMs = DEFAULT_WAIT_MS, signal } = options;
  checkNumber(timeoutMs, "timeoutMs", 0, MAX_WAIT_MS);
  return { timeoutMs, signal };
}

/**
 * Returns the output of the end, or of one look when the end has not come. The look takes its time from the wait, so that a
 * wait never lasts longer than `timeoutMs`. It costs one call, and only when the end has not come.
 *
 * @throws {CoordinationError} `wait_timeout`, retryable, when the backend did not answer the last look in time.
 */
export async function endOrLook<Output>(options: WaitCallOptions, source: EndAndLook<Output>): Promise<Output> {
  const { timeoutMs, signal } = checkWait(options);
  const limitMs = Math.min(LOOK_MS, timeoutMs * LOOK_SHARE);
  try {
    return await source.watch({ timeoutMs: timeoutMs - limitMs, signal });
  } catch (error) {
    if (!(error instanceof CoordinationError && error.code === "wait_timeout")) throw error;
  }
  const unanswered = (cause?: unknown): CoordinationError =>
    new CoordinationError("wait_timeout", `the backend did not answer within ${timeoutMs} ms`, {
      retryable: true,
      ...(cause === undefined ? {} : { cause }),
    });
  try {
    // A wait without time looks for as long as one operation may take.
    if (limitMs === 0) return await source.look(signal);
    return await within({ limitMs, signal, clock: systemClock }, unanswered, (ended) => source.look(ended));
  } catch (error) {
    const isPassing = error instanceof CoordinationError && error.retryable && error.code !== "wait_timeout";
    throw isPassing ? unanswered(error) : error;
  }
}
