import { fullJitterMs } from "../../backoff.js";
import type { Watched, WatchOptions } from "../../coordinator.js";
import { CoordinationError } from "../../errors.js";
import { timedOut } from "../../watchers.js";
import { Bell, limitSignal } from "./limit.js";
import type { Listening, Ring } from "./subscription.js";

/** What a watch needs of its coordinator. */
export interface Watch<Output extends Watched> {
  look(signal: AbortSignal | undefined): Promise<Output>;
  /** Has `ring` called whenever the record may have changed. */
  listen(ring: Ring): Listening;
  /** Reads the output that a message brings, where that is what is looked for. */
  read?(text: string): Output | undefined;
}

/**
 * Looks until the output is ready: at once, when the subscription stands, at each message that does not bring it, at the instant
 * that the output names, and from time to time, since a message may be lost. Passing failures are waited out. Who was told by
 * a message that there is something to read, and had no answer when the time was over, has one last read of `lastReadMs`.
 */
export async function watchUntilReady<Output extends Watched>(
  watch: Watch<Output>,
  { timeoutMs, signal, background = false, lastReadMs = 0 }: WatchOptions,
): Promise<Output> {
  signal?.throwIfAborted();
  if (timeoutMs === 0) return readyOr(await watch.look(signal), timeoutMs);
  const limit = limitSignal(signal, timeoutMs, { reason: () => timedOut(timeoutMs), background });
  const bell = new Bell();
  const pauses = new Pauses();
  let listening: Listening | undefined;
  /** A message came, and no look has succeeded since. */
  let isTold = false;
  /** What the last look saw. A message may be of an earlier life of the record: it has been under way for some time. */
  let version: number | undefined;
  let heard: Output | undefined;
  const ring: Ring = (news) => {
    isTold ||= news !== undefined;
    const output = news?.output === undefined ? undefined : watch.read?.(news.output);
    if (output?.ready === true && version !== undefined && output.version >= version && !signal?.aborted) {
      heard = output;
      // A look that is under way may take longer than the wait.
      limit.end();
    }
    bell.ring();
  };
  try {
    for (;;) {
      bell.reset();
      const wasTold = isTold;
      isTold = false;
      const seen = await watch.look(limit.signal).catch((error: unknown) => {
        isTold ||= wasTold;
        return passingFailure(error);
      });
      // An answer that came in time counts, even if the end came with it; a failure then does not.
      if ("ready" in seen && seen.ready) return seen;
      if ("ready" in seen) version = seen.version;
      limit.signal.throwIfAborted();
      // A socket would keep the process alive: in the background it is enough to look from time to time.
      if (!background) listening ??= watch.listen(ring);
      const delayMs =
        "ready" in seen ? pauses.afterLook(seen, listening?.isLive() === true) : pauses.afterFailure(seen);
      await bell.sleep(delayMs, limit.signal, background);
      limit.signal.throwIfAborted();
    }
  } catch (error) {
    if (heard !== undefined) return heard;
    const isLate = lastReadMs > 0 && isTold && !signal?.aborted && limit.signal.aborted;
    const last = isLate ? await lastRead(watch, lastReadMs, signal) : undefined;
    if (last?.ready) return last;
    throw error;
  } finally {
    listening?.leave();
    limit.release();
  }
}

/** One look more; `undefined` when it fails too. An abort by the caller is the caller's reason. */
async function lastRead<Output extends Watched>(
  watch: Watch<Output>,
  lastReadMs: number,
  signal: AbortSignal | undefined,
): Promise<Output | undefined> {
  const limit = limitSignal(signal, lastReadMs, { reason: () => timedOut(lastReadMs) });
  try {
    return await watch.look(limit.signal);
  } catch {
    signal?.throwIfAborted();
    return undefined;
  } finally {
    limit.release();
  }
}

function readyOr<Output extends Watched>(output: Output, timeoutMs: number): Output {
  if (output.ready) return output;
  throw timedOut(timeoutMs);
}

/** A failure that may pass; any other is thrown on. */
function passingFailure(error: unknown): CoordinationError {
  if (error instanceof CoordinationError && error.retryable && error.code !== "wait_timeout") return error;
  throw error;
}

const POLL_MIN_MS = 500;
const POLL_MAX_MS = 5_000;
const ABSORB = { maxAttempts: 1, baseDelayMs: 250, maxDelayMs: 2_000 };
/** So long after the named instant: a look that comes a moment early is for nothing. */
const RECHECK_LATE_MS = 10;

/** How long to wait for a message before looking all the same. */
class Pauses {
  #pollMs = POLL_MIN_MS;
  #failures = 0;

  afterLook({ recheckInMs }: Watched, isLive: boolean): number {
    this.#failures = 0;
    const pollMs = isLive ? POLL_MAX_MS : this.#pollMs;
    this.#pollMs = Math.min(2 * this.#pollMs, POLL_MAX_MS);
    const jitteredMs = pollMs * (0.8 + 0.2 * Math.random());
    if (recheckInMs === undefined) return jitteredMs;
    return Math.min(jitteredMs, Math.max(recheckInMs, 0) + RECHECK_LATE_MS);
  }

  afterFailure({ retryAfterMs = 0 }: CoordinationError): number {
    this.#failures++;
    return Math.max(retryAfterMs, fullJitterMs(ABSORB, this.#failures, 0.5 + Math.random() / 2));
  }
}
