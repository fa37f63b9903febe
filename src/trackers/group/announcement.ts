import type { Announcement, Child } from "../../core/group/growth.js";
import { type GroupHead, LIST_SIZE, type TaskRef as TaskKey } from "../../core/group/record.js";
import { CoordinationError } from "../../errors.js";
import { checkOptions } from "../../lib/known-options.js";
import { checkId } from "../../lib/validate.js";
import { MAX_TASKS_A_CALL, type TaskId, type TaskRef, taskKey } from "./task.js";

/**
 * A task that a group waits for. With `group`, the task has a child group, which is cancelled when this group ends and the
 * task is open.
 */
export type AddedTask =
  | TaskRef
  | {
      readonly stage?: string | undefined;
      readonly id: TaskId;
      /** The id of the child group, or of a child request. */
      readonly group?: string | { readonly requestId: string } | undefined;
    };

/** Tasks to announce, in the form that a transition reads, and in its order. */
export interface Announced {
  readonly announcement: Announcement;
  readonly tasks: readonly TaskKey[];
}

/** The tasks of a registration, checked. */
export interface GroupTasks extends Announced {
  readonly kind: GroupHead["kind"];
  readonly total: number;
}

const FIELDS = { stage: true, id: true, group: true } as const;

/**
 * Checks tasks that are announced.
 *
 * @throws {CoordinationError} `invalid_input` for more than `most` tasks, or for a task that is named twice.
 */
export function announced(tasks: readonly AddedTask[], field: string, most = MAX_TASKS_A_CALL): Announced {
  if (!Array.isArray(tasks) || tasks.length > most) {
    throw new CoordinationError("invalid_input", `${field} must be a list of at most ${most} tasks`);
  }
  const byStage = new Map<string, Set<string>>();
  const children: Child[] = [];
  for (const [i, task] of (tasks as readonly AddedTask[]).entries()) {
    if (typeof task === "object") checkOptions(task, FIELDS, `${field}[${i}]`);
    const key = taskKey(task, `${field}[${i}]`);
    const { stage = "" } = key;
    const ids = byStage.get(stage) ?? new Set();
    if (ids.has(key.id)) throw new CoordinationError("invalid_input", `${field}[${i}] repeats an earlier task`);
    byStage.set(stage, ids.add(key.id));
    const { group } = Object(task) as { readonly group?: unknown };
    if (group !== undefined) children.push(childOf(group, key, `${field}[${i}].group`));
  }
  const lists: string[] = [];
  const keys: TaskKey[] = [];
  for (const [stage, ids] of byStage) {
    const all = [...ids];
    for (let from = 0; from < all.length; from += LIST_SIZE) {
      lists.push(JSON.stringify([stage, ...all.slice(from, from + LIST_SIZE)]));
    }
    for (const id of all) keys.push(stage === "" ? { id } : { stage, id });
  }
  return { announcement: children.length === 0 ? { lists } : { lists, children }, tasks: keys };
}

/**
 * Refuses a group that is its own child: it would wait for its own end.
 *
 * @throws {CoordinationError} `invalid_input`.
 */
export function checkChildren({ children = [] }: Announcement, own: { readonly machine: string; readonly id: string }) {
  const self = children.find(({ machine, groupId }) => machine === own.machine && groupId === own.id);
  if (self === undefined) return;
  throw new CoordinationError("invalid_input", "a task's group must be another group than the one that has the task");
}

function childOf(group: unknown, task: TaskKey, field: string): Child {
  if (typeof group === "string") {
    checkId(group, field);
    return { ...task, machine: "completion", groupId: group };
  }
  checkOptions(group, { requestId: true }, field);
  const { requestId } = Object(group) as { readonly requestId?: unknown };
  checkId(requestId, `${field}.requestId`);
  return { ...task, machine: "request", groupId: requestId };
}
