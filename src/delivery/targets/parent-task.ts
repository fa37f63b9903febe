import type { Parent } from "../../core/group/record.js";
import { CoordinationError } from "../../errors.js";
import { checkOptions } from "../../lib/known-options.js";
import { checkId, checkInteger, checkText, MAX_STAGE_BYTES } from "../../lib/validate.js";
import { joinParts } from "../../runtime/placement.js";

/** A task of another group or request, as a registration names it. */
export type ParentTask = {
  /** The stage of the task, where tasks have stages. */
  readonly stage?: string | undefined;
  readonly taskId: string | number;
  /** The parent's generation, as its registration returned it. A parent with another generation is not changed. */
  readonly generation?: number | undefined;
} & (
  | { readonly groupId: string; readonly requestId?: undefined }
  | { readonly requestId: string; readonly groupId?: undefined }
);

/** A task of another group or request, as it is stored. */
export interface StoredTask {
  readonly machine: "completion" | "request";
  readonly id: string;
  readonly stage?: string;
  readonly taskId: string;
  readonly generation?: number;
}

const FIELDS = { groupId: true, requestId: true, stage: true, taskId: true, generation: true } as const;

/**
 * Returns a checked task of another group.
 *
 * @throws {CoordinationError} `invalid_input` that names the field.
 */
export function storedTask(task: unknown, field: string): StoredTask {
  checkOptions(task ?? null, FIELDS, field);
  const { groupId, requestId, stage, taskId, generation } = Object(task) as Readonly<Record<string, unknown>>;
  if ((groupId === undefined) === (requestId === undefined)) {
    throw new CoordinationError("invalid_input", `${field} must have either groupId or requestId`);
  }
  const id = groupId ?? requestId;
  checkId(id, `${field}.${groupId === undefined ? "requestId" : "groupId"}`);
  if (typeof taskId === "number") checkInteger(taskId, `${field}.taskId`, 0, Number.MAX_SAFE_INTEGER);
  else checkId(taskId, `${field}.taskId`);
  if (stage !== undefined) {
    checkId(stage, `${field}.stage`);
    checkText(stage, `${field}.stage`, MAX_STAGE_BYTES);
  }
  if (generation !== undefined) checkInteger(generation, `${field}.generation`, 0, Number.MAX_SAFE_INTEGER);
  return {
    machine: groupId === undefined ? "request" : "completion",
    id,
    ...(stage === undefined ? {} : { stage }),
    taskId: String(taskId),
    ...(generation === undefined ? {} : { generation }),
  };
}

/** Returns the parent of a registration in the form that is stored. */
export function parentOf(task: StoredTask): Parent {
  const parent: Parent = { key: taskKey(task), body: JSON.stringify(task) };
  if (task.generation !== undefined) parent.generation = task.generation;
  return parent;
}

/** Returns one text for a task of a group, different for every task of every group. */
export function taskKey({ machine, id, stage, taskId }: StoredTask): string {
  return joinParts(stage === undefined ? [machine, id, taskId] : [machine, id, stage, taskId]);
}
