import { recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import { markOf, memberOf } from "./counting.js";
import { type Group, openGroup, save, touch } from "./group.js";
import { isOther } from "./growth.js";
import { indexOf, writeIndexed } from "./indexed.js";
import { type GroupState, isOpen, numbered, type TaskRef } from "./record.js";
import { countsOf } from "./stages.js";
import { markName, openMarkText, operationsOf } from "./task-set.js";
import { type GroupView, viewOf } from "./view.js";

/** Opens failed tasks again, and puts off the end of a group. */

export interface RetryInput {
  op: string;
  tasks: TaskRef[];
  generation?: number;
}

/** Letters for the tasks: `r` open again, `s` not failed, `u` unknown. */
export interface RetryOutput {
  outcome: "retried" | "late" | "unknown";
  letters?: string;
  view?: GroupView;
}

/** Opens failed tasks of an open group again. Nothing is opened after the end. */
export function retry(store: Store, input: RetryInput): RetryOutput {
  const group = openGroup(store);
  if (group === undefined || isOther(group, input.generation)) return { outcome: "unknown" };
  const { head } = group;
  const before = recallOp(store, input.op);
  if (before !== undefined) return { outcome: "retried", letters: before, view: viewOf(store, head) };
  if (!isOpen(head)) return { outcome: "late", view: viewOf(store, head) };
  let letters = "";
  for (const task of input.tasks) letters = `${letters}${reopen(group, task)}`;
  if (letters.includes(REOPENED)) {
    rememberOp(store, operationsOf(head), input.op, letters);
    touch(group);
    save(group);
  }
  return { outcome: "retried", letters, view: viewOf(store, head) };
}

const REOPENED = "r";

function reopen(group: Group, task: TaskRef): string {
  const { store, head } = group;
  if (memberOf(head, task) === undefined) return "u";
  const mark = markOf(group, task);
  if (mark.state === "absent" || mark.state === "early") return "u";
  if (mark.state !== "failed") return "s";
  head.failed -= 1;
  if (task.stage !== undefined) countsOf(store, group.stages, task.stage)!.failed -= 1;
  // The mark keeps the operation of the attempt that failed: a late copy of that call does not count against the next.
  if (head.kind === "indexed") writeIndexed(store, head, indexOf(head, task), "open");
  else store.set(markName(task), openMarkText(head.epoch, mark.op));
  if (mark.number > 0) store.remove(numbered("e", mark.number));
  return REOPENED;
}

/** Moves the deadline of an open group, only to a later instant. A call that is sent again moves it once. */
export function extend(
  store: Store,
  input: { op: string; timeoutMs: number; generation?: number },
): { view?: GroupView } {
  const group = openGroup(store);
  if (group === undefined) return {};
  const { head } = group;
  const atMs = store.nowMs + input.timeoutMs;
  const isLater = head.deadlineAtMs !== undefined && head.deadlineAtMs < atMs;
  if (isLater && isOpen(head) && !isOther(group, input.generation) && recallOp(store, input.op) === undefined) {
    head.deadlineAtMs = atMs;
    rememberOp(store, operationsOf(head), input.op, "");
    save(group);
  }
  return { view: viewOf(store, head) };
}

export interface HeartbeatOutput {
  alive: boolean;
  state: GroupState | "unregistered";
}

/** Puts off the idle end and the silent end. Writes seldom: at most every eighth of the time that it puts off. */
export function heartbeat(store: Store, input: { generation?: number }): HeartbeatOutput {
  const group = openGroup(store);
  if (group === undefined) return { alive: true, state: "unregistered" };
  const { head } = group;
  if (isOther(group, input.generation)) return { alive: false, state: head.state };
  if (isOpen(head) && store.nowMs - head.touchedAtMs >= (head.idleMs ?? head.ttlMs) / 8) {
    touch(group);
    head.changes -= 1;
    save(group);
  }
  return { alive: isOpen(head), state: head.state };
}
