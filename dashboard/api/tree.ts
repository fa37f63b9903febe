import { childIds, type Owner, settles } from "../../cli/report/why.js";
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
 * child that leads to itself again, or that two tasks name, is shown once.
 *
 * @param found children of the root that `findChildren` has found. They stay while they settle its tasks.
 */
export async function readTree(api: ApiClient, root: Owner, found: readonly ChildTask[]): Promise<Tree> {
  const seen = new Set([nameOf(root)]);
  const read = async (parent: Owner, further: readonly ChildTask[], depth: number): Promise<Tree> => {
    const { items, next } = await api.children(parent, 0);
    const named = [...byName([...items, ...further])].filter(([name]) => !seen.has(name));
    const shown = named.slice(0, Math.max(0, MAX_NODES - seen.size));
    for (const [name] of shown) seen.add(name);
    const statuses = shown.length === 0 ? [] : await api.statuses(shown.map(([, [child]]) => child));
    const children: TreeNode[] = [];
    for (const [i, [, tasks]] of shown.entries()) {
      const status = statuses[i] ?? null;
      const settled = tasks.find((task) => status !== null && settles(status.parent, task, parent));
      if (status !== null && settled === undefined && further.includes(tasks[0])) continue;
      const child = settled ?? tasks[0];
      const mayHaveMore = status?.state === "open" && depth < MAX_DEPTH;
      const below = mayHaveMore
        ? await read({ kind: child.kind, id: child.id, generation: status.generation }, [], depth + 1)
        : { children: [], isCut: false };
      children.push({ ...child, status, ...below });
    }
    return { children, isCut: shown.length < named.length || next !== null };
  };
  return read(root, found, 1);
}

/** Returns the tasks that name each child. */
function byName(children: readonly ChildTask[]): Map<string, [ChildTask, ...ChildTask[]]> {
  const tasks = new Map<string, [ChildTask, ...ChildTask[]]>();
  for (const child of children) {
    const others = tasks.get(nameOf(child));
    if (others === undefined) tasks.set(nameOf(child), [child]);
    else others.push(child);
  }
  return tasks;
}

/** How many tasks `findChildren` takes: it reads two statuses for each. */
const NAMED_TASKS = 20;

/**
 * Returns the groups that settle an open task and have its name, as `TASK` or `ID/TASK`. The end of a group settles the task that
 * its `parent` names.
 */
export async function findChildren(api: ApiClient, owner: Owner, open: readonly GroupTask[]): Promise<ChildTask[]> {
  const candidates = open.slice(0, NAMED_TASKS).flatMap(({ taskId, stage }) => {
    return childIds(owner.id, taskId).map((id) => ({ kind: "group", id, taskId, stage }) as const);
  });
  const statuses = await api.statuses(candidates);
  return candidates.filter((child, i) => settles(statuses[i]?.parent ?? null, child, owner));
}

const nameOf = ({ kind, id }: SubjectId): string => `${kind} ${id}`;
