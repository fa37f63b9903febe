import { CoordinationError } from "../errors.js";
import type { Clock } from "../lib/clock.js";
import { type Limit, within } from "../runtime/deadline.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import type { QueueStatus } from "../trackers/request-status.js";
import type { RequestWaitTracker } from "../trackers/request-wait.js";

/** What is waited for, and how long. */
export interface EndWait<S extends string> {
  readonly tracker: RequestWaitTracker<S>;
  /** The record's id. */
  readonly id: string;
  /** What is left of the client's wait, in milliseconds; 0: one look. */
  readonly waitMs: number;
  /** What is left of the longest wait that is granted to anybody; below 0 when the handler took longer. */
  readonly leftMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
}

/** For so long the seal is waited for, though nobody waits for more; and even where the handler took all the time. */
const SEAL_MS = 1_000;
const LATE_SEAL_MS = 50;
/** Longer than before its end a wait begins its last look. */
const LAST_LOOK_MS = 1_000;

/**
 * Seals the request, and waits for its end; once the client has gone it only seals. Resolves with its counts, or with null
 * when it is not known to be complete: it is still pending, the client has gone, or the backend failed or stalled, which
 * `onEvent` is told. Never rejects, and never takes longer than it may.
 */
export async function endInTime<S extends string>(wait: EndWait<S>): Promise<QueueStatus<S> | null> {
  const { tracker, id, leftMs, clock, onEvent } = wait;
  // Who has gone waits for nothing, but his request must not stay pending.
  const [waitMs, signal] = wait.signal.aborted ? [0, undefined] : [wait.waitMs, wait.signal];
  const limitMs = Math.max(waitMs, Math.min(SEAL_MS, Math.max(leftMs, LATE_SEAL_MS)));
  const untilMs = clock.now() + waitMs;
  let step: "request.seal" | "request.wait" = "request.seal";
  const late = (): CoordinationError => (step === "request.seal" ? silent(limitMs) : timeIsOver());
  try {
    return await within({ limitMs, signal, clock }, late, async (ended) => {
      const { status } = await tracker.sealAndStatus(id);
      const timeoutMs = untilMs - clock.now();
      if (status !== null || timeoutMs <= 0) return status;
      step = "request.wait";
      // An unknown one too: its end can be read for a moment after it was cleaned up.
      // Only the end counts here, so the deadline comes before the wait's last look.
      const end = await within({ limitMs: timeoutMs, signal: ended, clock }, timeIsOver, (over) =>
        tracker.waitForRequest(id, { timeoutMs: timeoutMs + LAST_LOOK_MS, signal: over }),
      );
      if (end === null) throw new CoordinationError("conflict", "the request has expired, or was cleaned up");
      return end.state === "complete" ? end.status : null;
    });
  } catch (error) {
    if (!signal?.aborted && !isTimeOver(error)) emit(onEvent, { type: "followup_failed", transition: step, id, error });
    return null;
  }
}

/** The request that a caller abandons, and the reason. */
export interface Abandonment<S extends string> extends Pick<EndWait<S>, "tracker" | "id" | "clock" | "onEvent"> {
  readonly caller: string;
  readonly stage: S;
  readonly message: string;
}

/**
 * Ends a request whose handler has failed, so that its waiters resolve. Never rejects; a failure goes to `onEvent`. Takes
 * a second at most, since the client waits for its error answer.
 */
export async function abandonInTime<S extends string>(failed: Abandonment<S>): Promise<void> {
  const { tracker, id, clock, onEvent, ...failure } = failed;
  try {
    await answered({ limitMs: SEAL_MS, signal: undefined, clock }, () => tracker.abandon(id, failure));
  } catch (error) {
    emit(onEvent, { type: "followup_failed", transition: "request.abandon", id, error });
  }
}

/** A wait that nobody knows the end of. */
export function timeIsOver(): CoordinationError {
  // It was accepted, and may be done by now.
  return new CoordinationError("wait_timeout", "the request was not complete in time; it goes on", {
    retryable: true,
    applied: "unknown",
  });
}

export function isTimeOver(error: unknown): boolean {
  return error instanceof CoordinationError && error.code === "wait_timeout";
}

/** The work's outcome, or an error once the backend has been silent for too long. */
export function answered<T>(limit: Limit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return within(limit, () => silent(limit.limitMs), work);
}

function silent(limitMs: number): CoordinationError {
  const message = `the backend did not answer within ${Math.ceil(limitMs)} ms`;
  return new CoordinationError("backend_unavailable", message, { retryable: true, applied: "unknown" });
}
