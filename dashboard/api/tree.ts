import { childIds, settles } from "../../cli/report/why.js";
import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { GroupTask } from "../../src/trackers/group/reader.js";
import type { SubjectId } from "../place.js";
import type { ApiClient, ChildTask } from "./client.js";

/** A child: the task that it settles, and what is known of it. */
export interface TreeNode extends ChildTask {
  /** Null: it is not registered yet, or has expired. */
  readonly status: GroupStatus | null;
  readonly children: readonly TreeNode[];
  /** More children than are shown. */
  readonly isCut: boolean;
}

export interface Tree {
  readonly children: readonly TreeNode[];
  readonly isCut: boolean;
}

/** How deep the tree is read, and how many children it shows in all. */
const MAX_DEPTH = 6;
const MAX_NODES = 60;

/**
 * Reads the children of open tasks, and theirs: one call for each open group, and one for the statuses of each generation. A
 * child that leads to itself again is shown once.
 */
export async function readTree(api: ApiClient, root: SubjectId): Promise<Tree> {
  const seen = new Set([nameOf(root)]);
  const read = async (parent: SubjectId, depth: number): Promise<Tree> => {
    const { items, next } = await api.children(parent, 0);
    const named = items.filter((child) => !seen.has(nameOf(child)));
    const shown = named.slice(0, Math.max(0, MAX_NODES - seen.size));
    for (const child of shown) seen.add(nameOf(child));
    const statuses = shown.length === 0 ? [] : await api.statuses(shown);
    const children: TreeNode[] = [];
    for (const [i, child] of shown.entries()) {
      const status = statuses[i] ?? null;
      const mayHaveMore = status?.state === "open" && depth < MAX_DEPTH;
      const below = mayHaveMore ? await read(child, depth + 1) : { children: [], isCut: false };
      children.push({ ...child, status, ...below });
    }
    return { children, isCut: shown.length < named.length || next !== null };
  };
  return read(root, 1);
}

/** How many tasks `findChildren` takes: it reads two statuses for each. */
const NAMED_TASKS = 20;

/**
 * Returns the groups that settle an open task and have its name, as `TASK` or `ID/TASK`. The end of a group settles the task that
 * its `parent` names.
 */
export async function findChildren(
  api: ApiClient,
  subject: SubjectId,
  open: readonly GroupTask[],
): Promise<TreeNode[]> {
  const candidates = open.slice(0, NAMED_TASKS).flatMap(({ taskId, stage }) => {
    return childIds(subject.id, taskId).map((id) => ({ kind: "group", id, taskId, stage }) as const);
  });
  const statuses = await api.statuses(candidates);
  return candidates.flatMap((child, i) => {
    const status = statuses[i] ?? null;
    const isChild = status !== null && settles(status, child.taskId, subject);
    return isChild ? [{ ...child, status, children: [], isCut: false }] : [];
  });
}

const nameOf = ({ kind, id }: SubjectId): string => `${kind} ${id}`;
