import { TransitionRefused } from "../core/host.js";
import { applyTransition, type InputOf, type OutputOf, type TransitionName } from "../core/registry.js";
import type { Changes, Rows } from "../core/store.js";
import { openDraft } from "../core/transaction.js";
import { CoordinationError } from "../errors.js";

/** The result of one transition on a record. */
export interface Evaluation<N extends TransitionName> {
  readonly output: OutputOf<N>;
  /** The backend writes all of it or nothing. */
  readonly changes: Changes;
}

/** Runs one transition on one record, in this process. Does not write. */
export function evaluate<N extends TransitionName>(
  transition: N,
  input: InputOf<N>,
  rows: Rows,
  nowMs: number,
): Evaluation<N> {
  const draft = openDraft(rows, nowMs);
  const output = applyTransition(transition, draft.store, input);
  return { output, changes: draft.changes() };
}

/** Returns the error for a caller when `evaluate` throws. Nothing was written. */
export function evaluationFailed(transition: TransitionName, cause: unknown): CoordinationError {
  if (cause instanceof CoordinationError) return cause;
  const reason = cause instanceof TransitionRefused ? cause.reason : "the transition failed";
  return new CoordinationError("backend_rejected", `${transition}: ${reason}`, { cause });
}
