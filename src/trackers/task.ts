import type { TaskAck } from "../core/group/task-set.js";
import { CoordinationError } from "../errors.js";
import { checkId, checkInteger, shortText, toJson } from "../lib/validate.js";

/** A task's id: a text, or a number, which equals its decimal digits as a text. */
export type TaskId = string | number;

/** A task that is done: its id, its id with a result, or its id with the final error. */
export type Task =
  | TaskId
  | { readonly id: TaskId; readonly result?: unknown }
  | { readonly id: TaskId; readonly error: string };

/** The most tasks of one ack call. */
export const MAX_ACKS = 1_000;
/** The largest result, in bytes of JSON. */
export const MAX_RESULT_BYTES = 16_384;
/** How much of an error message is kept, in bytes of UTF-8. */
export const MAX_ERROR_BYTES = 1_024;

/** Checks tasks and returns them in the form that a transition reads. */
export function taskAcks(tasks: readonly Task[]): TaskAck[] {
  if (tasks.length === 0 || tasks.length > MAX_ACKS) {
    throw new CoordinationError("invalid_input", `tasks must hold 1 to ${MAX_ACKS}`);
  }
  // `Array.from` visits holes in the list, so that a hole is refused too.
  return Array.from(tasks, (task, i) => taskAck(task, tasks.length === 1 ? "task" : `tasks[${i}]`));
}

function taskAck(task: Task, field: string): TaskAck {
  if (typeof task !== "object") return { id: checkTaskId(task, field) };
  if (task === null) throw new CoordinationError("invalid_input", `${field} must be an id or an object with one`);
  const id = checkTaskId(task.id, `${field}.id`);
  if ("error" in task && task.error !== undefined) {
    if ("result" in task && task.result !== undefined) {
      throw new CoordinationError("invalid_input", `${field} must not have both a result and an error`);
    }
    return { id, error: shortText(task.error, `${field}.error`, MAX_ERROR_BYTES) };
  }
  if (!("result" in task) || task.result === undefined) return { id };
  return { id, result: toJson(task.result, `${field}.result`, MAX_RESULT_BYTES) };
}

function checkTaskId(id: TaskId, field: string): string {
  if (typeof id === "number") {
    checkInteger(id, field, 0, Number.MAX_SAFE_INTEGER);
    return String(id);
  }
  checkId(id, field);
  return id;
}
