import { type InputOf, machineOf, type OutputOf, type TransitionName } from "../../core/registry.js";
import type { Changes, RecordEvent } from "../../core/store.js";
import { CoordinationError } from "../../errors.js";
import { evaluate, evaluationFailed } from "../../runtime/evaluate.js";
import type { Operation } from "./call.js";
import type { Seen } from "./checked-store.js";
import type { NextRecord } from "./definition.js";
import { listName } from "./names.js";
import { bytesOf, RecordText } from "./record.js";

/** The result of one operation's transition. */
export interface Evaluated {
  readonly output: OutputOf<TransitionName>;
  /** Set when the record is due: `fresh` when this operation made it due, `still` when it was due before. */
  readonly due: "fresh" | "still" | undefined;
  readonly isNotified: boolean;
  /** The only waiters that are notified. Empty: all. */
  readonly topics: readonly string[];
  readonly events: readonly RecordEvent[];
}

/** One evaluation of several operations. The callers receive these results once the record is stored. */
export interface Step {
  readonly stamp: string;
  readonly evaluated: ReadonlyMap<Operation, Evaluated>;
  readonly failed: ReadonlyMap<Operation, CoordinationError>;
  /** `undefined`: nothing to write. */
  readonly next: NextRecord | null | undefined;
}

/** How many bytes the numbers of a header can add at most. */
const DIGITS = 8;

interface Options {
  readonly stamp: string;
  readonly maxBytes: number;
}

/**
 * Runs the transitions of several operations on the record, in order. An operation that fails, or would make the record too
 * large, changes nothing.
 */
export function takeStep(seen: Seen, operations: readonly Operation[], options: Options): Step {
  const step = stepOf(seen, operations, { ...options, isBounded: false });
  const data = step.next?.data;
  const { maxBytes } = options;
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (data === undefined || data.length * 3 <= maxBytes || bytesOf(data) <= maxBytes) return step;
  return stepOf(seen, operations, { ...options, isBounded: true });
}

function stepOf(
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
      const { transition } = operation;
      const input = JSON.parse(operation.input) as InputOf<TransitionName>;
      const { changes, output } = evaluate(transition, input, record.rows, nowMs);
      if (changes.dirty) {
        const bytesAfter = isBounded ? record.bytesAfter(bytes, changes) : 0;
        if (bytesAfter > Math.max(bytes, maxBytes)) throw tooLarge();
        bytes = bytesAfter;
        record.apply(changes);
        last = changes;
      }
      evaluated.set(operation, {
        output,
        due: dueOf(changes, nowMs),
        isNotified: changes.notified,
        topics: changes.topics,
        events: changes.events,
      });
    } catch (error) {
      failed.set(operation, evaluationFailed(operation.transition, error));
    }
  }
  const data = last === undefined ? undefined : record.write(stamp);
  if (last === undefined || (data === undefined && stored === undefined))
    return { stamp, evaluated, failed, next: undefined };
  if (data === undefined) return { stamp, evaluated, failed, next: null };
  const { untilMs = null, wakeAtMs = null, line } = last;
  const list = line === undefined ? null : listName(machineOf(operations[0]?.transition as TransitionName), line.list);
  const place = { list, listedAtMs: line?.atMs ?? null };
  return { stamp, evaluated, failed, next: { version: stamp, data, expiresAtMs: untilMs, wakeAtMs, ...place } };
}

function tooLarge(): CoordinationError {
  const message = "the record would be larger than the backend takes (maxRecordBytes)";
  return new CoordinationError("limit_exceeded", message);
}

function dueOf({ wakeAtMs, wakeChanged }: Changes, nowMs: number): Evaluated["due"] {
  if (wakeAtMs === undefined || wakeAtMs > nowMs) return undefined;
  return wakeChanged ? "fresh" : "still";
}
