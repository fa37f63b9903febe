import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { ApiClient, ChildTask, Subject } from "./client.js";

/** A child of a group: the task that it settles, and what is known of it. */
export interface TreeNode extends Subject {
  readonly taskId: string;
  readonly stage: string | null;
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
 * Reads the children of a group's open tasks, and theirs: one call for each open group, and one for the statuses of each
 * generation. A child that leads to itself again is shown once.
 */
export async function readTree(api: ApiClient, id: string): Promise<Tree> {
  const seen = new Set([id]);
  const read = async (groupId: string, depth: number): Promise<Tree> => {
    const page = await api.children(groupId, 0);
    const named = (page?.items ?? []).flatMap(subjectOf).filter((child) => !seen.has(child.id));
    const shown = named.slice(0, Math.max(0, MAX_NODES - seen.size));
    for (const child of shown) seen.add(child.id);
    const statuses = shown.length === 0 ? [] : await api.statuses(shown);
    const children: TreeNode[] = [];
    for (const [i, child] of shown.entries()) {
      const status = statuses[i] ?? null;
      const mayHaveMore = child.kind === "group" && status?.state === "open" && depth < MAX_DEPTH;
      const below = mayHaveMore ? await read(child.id, depth + 1) : { children: [], isCut: false };
      children.push({ ...child, status, ...below });
    }
    return { children, isCut: shown.length < named.length || (page?.next ?? null) !== null };
  };
  return read(id, 1);
}

function subjectOf({ taskId, stage, groupId, requestId }: ChildTask): (Subject & Pick<TreeNode, "taskId" | "stage">)[] {
  if (groupId !== null) return [{ kind: "group", id: groupId, taskId, stage }];
  return requestId === null ? [] : [{ kind: "request", id: requestId, taskId, stage }];
}
