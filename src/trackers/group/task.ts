import type { TaskAck, TaskRef as TaskKey } from "../../core/group/record.js";
import { MAX_BRIEF_BYTES, MAX_ERROR_BYTES } from "../../core/limits.js";
import { CoordinationError } from "../../errors.js";
import { checkOptions } from "../../lib/known-options.js";
import { checkId, checkInteger, checkText, MAX_STAGE_BYTES, shortText, toJson } from "../../lib/validate.js";

/** A task's id: a text, or a number, which equals its decimal digits as a text. */
export type TaskId = string | number;

/** A task: its id, or its stage and its id. The same id in two stages is two tasks. */
export type TaskRef = TaskId | { readonly stage?: string | undefined; readonly id: TaskId };

/** A task that is done: its id, its id with a result, or its id with the final error. */
export type Task =
  | TaskId
  | { readonly stage?: string | undefined; readonly id: TaskId; readonly result?: unknown }
  | { readonly stage?: string | undefined; readonly id: TaskId; readonly error: string };

/** The most tasks that one call acks, adds, hands on, or opens again. */
export const MAX_TASKS_A_CALL = 1_000;
/** The largest result, in bytes of JSON. */
export const MAX_RESULT_BYTES = 16_384;
/** The most tasks of a group that has no list of them. */
export const MAX_TOTAL = 1_000_000_000;

const REF_FIELDS = { stage: true, id: true } as const;
const TASK_FIELDS = { stage: true, id: true, result: true, error: true } as const;

/** Checks tasks and returns them in the form that a transition reads. */
export function taskAcks(tasks: readonly Task[]): TaskAck[] {
  checkLength(tasks, "tasks");
  // `Array.from` visits holes in the list, so that a hole is refused too.
  return Array.from(tasks, (task, i) => taskAck(task, tasks.length === 1 ? "task" : `tasks[${i}]`));
}

function taskAck(task: Task, field: string): TaskAck {
  if (typeof task !== "object") return taskKey(task, field);
  checkOptions(task, TASK_FIELDS, field);
  const ack: TaskAck = taskKey(task, field);
  const { result, error } = task as { readonly result?: unknown; readonly error?: unknown };
  if (error !== undefined) {
    if (result !== undefined) {
      throw new CoordinationError("invalid_input", `${field} must not have both a result and an error`);
    }
    return { ...ack, ...errorFields(error, `${field}.error`) };
  }
  if (result !== undefined) ack.result = toJson(result, `${field}.result`, MAX_RESULT_BYTES);
  return ack;
}

/** Returns an error as it is stored: cut to 1,024 bytes, with its beginning for the status where it is longer than 256. */
export function errorFields(message: unknown, field: string): { error: string; brief?: string } {
  const error = shortText(message, field, MAX_ERROR_BYTES);
  const brief = shortText(error, field, MAX_BRIEF_BYTES);
  return brief === error ? { error } : { error, brief };
}

/** Checks references to tasks: one, or a list of 1 to 1,000. */
export function taskKeys(tasks: TaskRef | readonly TaskRef[], field: string): TaskKey[] {
  const list = Array.isArray(tasks) ? (tasks as readonly TaskRef[]) : [tasks as TaskRef];
  checkLength(list, field);
  return Array.from(list, (task, i) => {
    const name = list.length === 1 ? field : `${field}[${i}]`;
    if (typeof task === "object") checkOptions(task, REF_FIELDS, name);
    return taskKey(task, name);
  });
}

/** Checks the identity of a task. */
export function taskKey(task: TaskRef, field: string): TaskKey {
  if (typeof task !== "object") return { id: checkTaskId(task, field) };
  if (task === null) throw new CoordinationError("invalid_input", `${field} must be an id, or an object with an id`);
  const id = checkTaskId(task.id, `${field}.id`);
  if (task.stage === undefined) return { id };
  checkStage(task.stage, `${field}.stage`);
  return { stage: task.stage, id };
}

/** Checks the name of a stage: 1 to 64 bytes. */
export function checkStage(stage: unknown, field: string): asserts stage is string {
  checkId(stage, field);
  checkText(stage, field, MAX_STAGE_BYTES);
}

function checkTaskId(id: TaskId, field: string): string {
  if (typeof id === "number") {
    checkInteger(id, field, 0, Number.MAX_SAFE_INTEGER);
    return String(id);
  }
  checkId(id, field);
  return id;
}

function checkLength(tasks: readonly unknown[], field: string): void {
  if (Array.isArray(tasks) && tasks.length >= 1 && tasks.length <= MAX_TASKS_A_CALL) return;
  throw new CoordinationError("invalid_input", `${field} must hold 1 to ${MAX_TASKS_A_CALL}`);
}
