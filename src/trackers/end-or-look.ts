import { CoordinationError } from "../errors.js";
import { AbortListeners } from "../lib/abort-listeners.js";
import { systemClock } from "../lib/clock.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkNumber } from "../lib/validate.js";
import { within } from "../runtime/deadline.js";
import type { CallOptions } from "./call-options.js";

/** How long a call waits. */
export interface WaitCallOptions extends CallOptions {
  /**
   * How long to wait, in milliseconds: 0 to a day. 0: reads once.
   *
   * @default 30_000
   */
  readonly timeoutMs?: Duration | undefined;
}

/** How a wait watches for the end, and how it reads the status when the end has not come. */
export interface EndAndLook<Output> {
  /** The tracker's listeners: its waits share one listener for each signal. Default: one for this wait. */
  readonly signals?: AbortListeners;
  watch(options: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined }): Promise<Output>;
  look(signal: AbortSignal): Promise<Output>;
}

const WAIT_OPTIONS: Names<WaitCallOptions> = { timeoutMs: true, signal: true };
const DEFAULT_WAIT_MS = 30_000;
export const MAX_WAIT_MS = 86_400_000;
/** When a wait reads the status: this share of its time before the end, and at most this many milliseconds before it. */
const LOOK_SHARE = 1 / 4;
const LOOK_MS = 500;

/** @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. */
export function checkWait(options: WaitCallOptions): { timeoutMs: number; signal: AbortSignal | undefined } {
  checkOptions(options, WAIT_OPTIONS);
  const { signal } = options;
  const timeoutMs = inMillis(options.timeoutMs, "timeoutMs") ?? DEFAULT_WAIT_MS;
  checkNumber(timeoutMs, "timeoutMs", 0, MAX_WAIT_MS);
  return { timeoutMs, signal };
}

/**
 * Returns the output at the end, or that of one read when the end has not come. The read begins up to 0.5 s before the time
 * is over, in parallel with the wait. So the wait lasts its whole time and no longer, and its result is at most 0.5 s old.
 *
 * @throws {CoordinationError} `wait_timeout`, retryable, when the backend did not answer the last read in time.
 */
export async function endOrLook<Output>(options: WaitCallOptions, source: EndAndLook<Output>): Promise<Output> {
  const { timeoutMs, signal } = checkWait(options);
  const limitMs = Math.min(LOOK_MS, timeoutMs * LOOK_SHARE);
  const over = new AbortController();
  const { signals = new AbortListeners() } = source;
  const stop = signal === undefined ? undefined : signals.add(signal, () => over.abort(signal.reason));
  let looking: Promise<Looked<Output>> | undefined;
  const look = (): Promise<Looked<Output>> => {
    looking ??= lookWithin({ limitMs, timeoutMs }, over.signal, (ended) => source.look(ended));
    return looking;
  };
  const cancel =
    limitMs > 0 ? systemClock.setTimer(() => void look(), timeoutMs - limitMs, { background: true }) : undefined;
  try {
    return await source.watch({ timeoutMs, signal });
  } catch (error) {
    if (!(error instanceof CoordinationError && error.code === "wait_timeout")) throw error;
    // A wait of 0 ms may read for as long as one operation takes, until the caller's signal aborts.
    if (limitMs === 0) return await lookOnce(timeoutMs, () => source.look(over.signal));
    const looked = await look();
    if ("error" in looked) throw looked.error;
    return looked.output;
  } finally {
    cancel?.();
    stop?.();
    over.abort();
  }
}

type Looked<Output> = { readonly output: Output } | { readonly error: unknown };

/** Never rejects, because the wait may not need this result. */
async function lookWithin<Output>(
  { limitMs, timeoutMs }: { readonly limitMs: number; readonly timeoutMs: number },
  signal: AbortSignal,
  look: (signal: AbortSignal) => Promise<Output>,
): Promise<Looked<Output>> {
  const late = (): CoordinationError => unanswered(timeoutMs);
  const work = () => within({ limitMs, signal, clock: systemClock, background: true }, late, look);
  return lookOnce(timeoutMs, work).then(
    (output) => ({ output }),
    (error: unknown) => ({ error }),
  );
}

async function lookOnce<Output>(timeoutMs: number, look: () => Promise<Output>): Promise<Output> {
  try {
    return await look();
  } catch (error) {
    const isPassing = error instanceof CoordinationError && error.retryable && error.code !== "wait_timeout";
    throw isPassing ? unanswered(timeoutMs, error) : error;
  }
}

function unanswered(timeoutMs: number, cause?: unknown): CoordinationError {
  return new CoordinationError("wait_timeout", `the backend did not answer within ${timeoutMs} ms`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
