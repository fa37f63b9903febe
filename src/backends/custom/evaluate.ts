import { TransitionRefused } from "../../core/host.js";
import { applyTransition, type InputOf, type OutputOf, type TransitionName } from "../../core/registry.js";
import type { Changes } from "../../core/store.js";
import { openDraft } from "../../core/transaction.js";
import { CoordinationError } from "../../errors.js";
import type { Operation } from "./call.js";
import type { Seen } from "./checked-store.js";
import type { NextRecord } from "./definition.js";
import { bytesOf, RecordText } from "./record.js";

/** What one operation's transition made of the record. */
export interface Evaluated {
  readonly output: OutputOf<TransitionName>;
  /** The record wants to be woken: `fresh`, since this very step made it due, or `still`. */
  readonly due: "fresh" | "still" | undefined;
  readonly isNotified: boolean;
}

/** One evaluation: what the operations are answered, once the record is stored. */
export interface Step {
  readonly stamp: string;
  readonly evaluated: ReadonlyMap<Operation, Evaluated>;
  readonly failed: ReadonlyMap<Operation, CoordinationError>;
  /** `undefined`: nothing changes. */
  readonly next: NextRecord | null | undefined;
}

/** How much longer a header becomes by the digits of its numbers, at most. */
const DIGITS = 8;

interface Options {
  readonly stamp: string;
  readonly maxBytes: number;
}

/**
 * Runs the operations' transitions on the record, one after the other. One that fails, or would make the record too large,
 * changes nothing.
 */
export function evaluate(seen: Seen, operations: readonly Operation[], options: Options): Step {
  const step = evaluateAll(seen, operations, { ...options, isBounded: false });
  const data = step.next?.data;
  const { maxBytes } = options;
  // A UTF-16 unit takes three bytes at most.
  if (data === undefined || data.length * 3 <= maxBytes || bytesOf(data) <= maxBytes) return step;
  return evaluateAll(seen, operations, { ...options, isBounded: true });
}

function evaluateAll(
  { nowMs, record: stored }: Seen,
  operations: readonly Operation[],
  { stamp, maxBytes, isBounded }: Options & { readonly isBounded: boolean },
): Step {
  const record = stored === undefined ? RecordText.none() : RecordText.parse(stored.data);
  const evaluated = new Map<Operation, Evaluated>();
  const failed = new Map<Operation, CoordinationError>();
  let bytes = isBounded && stored !== undefined ? bytesOf(stored.data) + DIGITS : 0;
  let last: Changes | undefined;
  for (const operation of operations) {
    try {
      const { changes, output } = run(record, nowMs, operation);
      if (changes.dirty) {
        const bytesAfter = isBounded ? record.bytesAfter(bytes, changes) : 0;
        if (bytesAfter > Math.max(bytes, maxBytes)) throw tooLarge();
        bytes = bytesAfter;
        record.apply(changes);
        last = changes;
      }
      evaluated.set(operation, { output, due: dueOf(changes, nowMs), isNotified: changes.notified });
    } catch (error) {
      failed.set(operation, failureOf(operation, error));
    }
  }
  const data = last === undefined ? undefined : record.write(stamp);
  if (last === undefined || (data === undefined && stored === undefined))
    return { stamp, evaluated, failed, next: undefined };
  if (data === undefined) return { stamp, evaluated, failed, next: null };
  const { untilMs = null, wakeAtMs = null } = last;
  return { stamp, evaluated, failed, next: { version: stamp, data, expiresAtMs: untilMs, wakeAtMs } };
}

function run(record: RecordText, nowMs: number, { transition, input }: Operation) {
  const draft = openDraft(record.rows, nowMs);
  const output = applyTransition(transition, draft.store, JSON.parse(input) as InputOf<TransitionName>);
  return { changes: draft.changes(), output };
}

function failureOf({ transition }: Operation, cause: unknown): CoordinationError {
  if (cause instanceof CoordinationError) return cause;
  const reason = cause instanceof TransitionRefused ? cause.reason : "the transition failed";
  return new CoordinationError("backend_rejected", `${transition}: ${reason}`, { cause });
}

function tooLarge(): CoordinationError {
  const message = "the record would be larger than the backend takes (maxRecordBytes)";
  return new CoordinationError("limit_exceeded", message);
}

function dueOf({ wakeAtMs, wakeChanged }: Changes, nowMs: number): Evaluated["due"] {
  if (wakeAtMs === undefined || wakeAtMs > nowMs) return undefined;
  return wakeChanged ? "fresh" : "still";
}
