import { encode } from "../host.js";
import { applyPolicy, type Group } from "./group.js";
import { indexedName, indexOf, readIndexed, writeIndexed } from "./indexed.js";
import { type GroupHead, leftOf, numbered, type TaskAck, type TaskRef } from "./record.js";
import { countsOf, MAX_COUNT } from "./stages.js";
import { type Mark, markName, readMark, writeMark } from "./task-set.js";
import type { StoredError } from "./view.js";

/** Settles tasks: the marks, the counts, the results and the errors. */

/** How many errors of one epoch are kept with their text. */
export const MAX_ERRORS = 1_000;

/** The member that a task's mark is in; `undefined` for an id that is none of an indexed group's. */
export function memberOf(head: GroupHead | undefined, task: TaskRef): string | undefined {
  if (head?.kind !== "indexed") return markName(task);
  const index = indexOf(head, task);
  return index < 0 ? undefined : indexedName(index);
}

export function markOf({ store, head }: Group, task: TaskRef): Mark {
  if (head.kind !== "indexed") return readMark(store, head, markName(task));
  const index = indexOf(head, task);
  return index < 0 ? { state: "absent", number: 0, op: "" } : readIndexed(store, head, index);
}

/**
 * Settles a task that is open: as succeeded, or as failed when it brings an error. Ends the group when an absolute limit of
 * its policy is reached.
 */
export function count(group: Group, task: TaskAck, op: string): void {
  const { store, head } = group;
  const isFailure = task.error !== undefined;
  if (isFailure) head.failed += 1;
  else head.succeeded += 1;
  const mark: Mark = { state: isFailure ? "failed" : "succeeded", number: keepBody(group, task), op };
  if (head.kind === "indexed") writeIndexed(store, head, indexOf(head, task), mark.state);
  else writeMark(store, head, markName(task), mark);
  if (task.stage !== undefined) {
    const counts = countsOf(store, group.stages, task.stage)!;
    counts.processed += task.processed ?? 0;
    if (counts.processed > MAX_COUNT) group.stages.isOverflown = true;
    if (isFailure) {
      counts.failed += 1;
      counts.errors += 1;
    } else counts.succeeded += 1;
  }
  head.lastAckAtMs = store.nowMs;
  applyPolicy(group, false, markName(task));
}

/** Tasks that are only counted cannot settle more than the total. */
export const mayCount = (head: GroupHead): boolean => head.kind !== "counted" || leftOf(head) > 0;

/** Stores the result or the error of a task, and returns its number. */
function keepBody({ store, head }: Group, task: TaskAck): number {
  if (task.error !== undefined) {
    const error: StoredError = { taskId: task.id, message: task.error };
    if (task.stage !== undefined) error.stage = task.stage;
    if (task.brief !== undefined) error.brief = task.brief;
    return keepError(store, head, error);
  }
  if (task.result === undefined) return 0;
  head.results += 1;
  const line: { taskId: string; stage?: string; result: string } = { taskId: task.id, result: task.result };
  if (task.stage !== undefined) line.stage = task.stage;
  store.set(numbered("r", head.results), encode(line));
  return head.results;
}

/** Counts an error; keeps its text and returns its number, or 0 when the epoch has kept its most. */
export function keepError(store: Group["store"], head: GroupHead, error: StoredError): number {
  head.errors += 1;
  if (head.errors - (head.errorsFrom ?? 0) > MAX_ERRORS) return 0;
  store.set(numbered("e", head.errors), encode(error));
  return head.errors;
}
