import { CoordinationError } from "../errors.js";
import type { Clock } from "../lib/clock.js";
import { type Limit, within } from "../runtime/deadline.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import type { RequestStatus } from "../trackers/request/status.js";
import type { RequestWaitTracker } from "../trackers/request-wait.js";

/** The request to wait for, and the time limits. */
export interface EndWait<S extends string> {
  readonly tracker: RequestWaitTracker<S>;
  /** The record's id. */
  readonly id: string;
  /** The rest of the client's wait, in milliseconds; 0: read once. */
  readonly waitMs: number;
  /** The rest of `maxWaitMs`, in milliseconds; below 0 when the handler took longer. */
  readonly leftMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
}

/** How long to wait for the seal when the client did not ask to wait. The second is for a handler that used all the time. */
const SEAL_MS = 1_000;
const LATE_SEAL_MS = 50;
/** A wait begins its last read less than this time before it is over. */
const LAST_LOOK_MS = 1_000;

/**
 * Seals the request, and waits for its end. After the client has disconnected it only seals. Returns the status. Returns
 * null when the request is still pending, the client has disconnected, or the backend failed or stalled. `onEvent` receives
 * a failure. Never rejects, and never exceeds its time limit.
 */
export async function endInTime<S extends string>(wait: EndWait<S>): Promise<RequestStatus<S> | null> {
  const { tracker, id, leftMs, clock, onEvent } = wait;
  // A client that has disconnected does not wait, but its request must not stay pending.
  const [waitMs, signal] = wait.signal.aborted ? [0, undefined] : [wait.waitMs, wait.signal];
  const limitMs = Math.max(waitMs, Math.min(SEAL_MS, Math.max(leftMs, LATE_SEAL_MS)));
  const untilMs = clock.now() + waitMs;
  let step: "request.seal" | "request.wait" = "request.seal";
  const late = (): CoordinationError => (step === "request.seal" ? silent(limitMs) : timeIsOver());
  try {
    return await within({ limitMs, signal, clock }, late, async (ended) => {
      const sealed = await tracker.seal(id);
      const timeoutMs = untilMs - clock.now();
      // A request that was cancelled or timed out has no result: the status routes say so.
      if (sealed?.final === true) return sealed.state === "complete" ? sealed : null;
      if (timeoutMs <= 0) return null;
      step = "request.wait";
      // Wait for an unknown request too: its end can be read for a moment after it was removed.
      // Only the end counts here, so the timeout comes before the wait's last read.
      const end = await within({ limitMs: timeoutMs, signal: ended, clock }, timeIsOver, (over) =>
        tracker.wait(id, { timeoutMs: timeoutMs + LAST_LOOK_MS, signal: over }),
      );
      if (end === null) throw new CoordinationError("conflict", "the request has expired, or was removed");
      return end.state === "complete" ? end : null;
    });
  } catch (error) {
    if (!signal?.aborted && !isTimeOver(error)) emit(onEvent, { type: "followup_failed", transition: step, id, error });
    return null;
  }
}

/** The request that a caller abandons, and the reason. */
export interface Abandonment<S extends string> extends Pick<EndWait<S>, "tracker" | "id" | "clock" | "onEvent"> {
  readonly caller: string;
  readonly message: string;
}

/**
 * Ends a request whose handler has failed, so that its waiters resolve. Never rejects: `onEvent` receives a failure. Takes
 * at most a second, since the client waits for its error response.
 */
export async function abandonInTime<S extends string>(failed: Abandonment<S>): Promise<void> {
  const { tracker, id, clock, onEvent, ...failure } = failed;
  try {
    await answered({ limitMs: SEAL_MS, signal: undefined, clock }, () => tracker.abandon(id, failure));
  } catch (error) {
    emit(onEvent, { type: "followup_failed", transition: "request.abandon", id, error });
  }
}

/** Returns the error for a wait that timed out. */
export function timeIsOver(): CoordinationError {
  // The request was accepted, and may be complete by now.
  return new CoordinationError("wait_timeout", "the request was not complete in time; it goes on", {
    retryable: true,
    applied: "unknown",
  });
}

export function isTimeOver(error: unknown): boolean {
  return error instanceof CoordinationError && error.code === "wait_timeout";
}

/** Returns the result of the work, or rejects when the backend does not answer in time. */
export function answered<T>(limit: Limit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return within(limit, () => silent(limit.limitMs), work);
}

function silent(limitMs: number): CoordinationError {
  const message = `the backend did not answer within ${Math.ceil(limitMs)} ms`;
  return new CoordinationError("backend_unavailable", message, { retryable: true, applied: "unknown" });
}
