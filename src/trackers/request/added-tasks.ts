import { checkOptions } from "../../lib/known-options.js";
import type { AddedTask } from "../group/announcement.js";
import type { AddedId, TaskIds } from "./calls.js";

const ADDED = { id: true, group: true } as const;

/** Returns tasks of one stage. */
export function tasksOf(stage: string, taskIds: TaskIds, field: string): AddedTask[] {
  const ids = Array.isArray(taskIds) ? (taskIds as readonly AddedId[]) : [taskIds as AddedId];
  return Array.from(ids, (each, i) => {
    if (typeof each !== "object") return { stage, id: each };
    checkOptions(each ?? null, ADDED, `${field}[${i}]`);
    return { ...each, stage };
  });
}
