import type { Coordinator } from "../coordinator.js";
import type { AcquireOutput } from "../core/semaphore.js";
import { CoordinationError } from "../errors.js";
import type { WatchOptions } from "../runtime/backend.js";
import { monotonicMs } from "./held-lease.js";

/** One call for a permit. A repeated call with the same `op` continues it. */
export interface PermitCall {
  /** The record of the key. */
  readonly id: string;
  readonly op: string;
  readonly permits: number;
  readonly leaseMs: number;
  /** How long to wait in line; 0: takes no place. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Does not end a question that was sent: the caller may come back for its answer. The signal ends only the wait. */
  readonly awaitsAnswers?: boolean;
}

/** `queued`: the time is over, and the caller still has a place in line. */
export interface PermitAnswer extends Omit<AcquireOutput, "outcome"> {
  readonly outcome: Exclude<AcquireOutput["outcome"], "full">;
  /** When the question was sent, by this machine's clock and by `monotonicMs`. The lease began later. */
  readonly sentAtMs: number;
  readonly sentMonotonicMs: number;
}

/** How long to pause when the line of a key is full. */
const FULL_PAUSE_MS = 1_000;

/**
 * Asks for a permit, and waits in line for it. Returns the permit, or why there is none. Gives nothing back: a place in
 * line stays, also when the call fails.
 *
 * @throws {CoordinationError} `limit_exceeded`, retryable, when the line is full. Rejects with `signal.reason`.
 */
export async function takePermit(coordinator: Coordinator, call: PermitCall): Promise<PermitAnswer> {
  const endsAtMs = monotonicMs() + call.waitMs;
  for (;;) {
    const answer = await ask(coordinator, call);
    const timeoutMs = endsAtMs - monotonicMs();
    if (answer.outcome !== "queued" || timeoutMs <= 0) return answer;
    if (!(await isTurn(coordinator, call, { timeoutMs, signal: call.signal }))) return answer;
  }
}

async function ask(coordinator: Coordinator, call: PermitCall): Promise<PermitAnswer> {
  const { id, op, permits, leaseMs, waitMs, awaitsAnswers } = call;
  const signal = awaitsAnswers === true ? undefined : call.signal;
  const [sentMonotonicMs, sentAtMs] = [monotonicMs(), Date.now()];
  const input = { op, permits, leaseMs, queue: waitMs > 0 };
  const { outcome, ...rest } = await coordinator.run("semaphore.acquire", id, input, { signal });
  if (outcome !== "full") return { outcome, ...rest, sentAtMs, sentMonotonicMs };
  const message = "as many callers wait for the key as may wait";
  throw new CoordinationError("limit_exceeded", message, { retryable: true, retryAfterMs: FULL_PAUSE_MS });
}

/** Waits for this call's turn. Returns false when the time is over before. */
async function isTurn(coordinator: Coordinator, { id, op }: PermitCall, options: WatchOptions): Promise<boolean> {
  try {
    return (await coordinator.watch("semaphore.turn", id, { op }, options)).ready;
  } catch (error) {
    if (error instanceof CoordinationError && error.code === "wait_timeout") return false;
    throw error;
  }
}
