import type { TaskPage } from "../../src/trackers/group/reader.js";
import type { SubjectId } from "../place.js";
import type { ApiClient, TaskState } from "./client.js";

/** How many tasks the first call looks at, and each further one. */
const FIRST = 100;
const FURTHER = 1_000;
/** The most calls. A person may go on from there. */
const MAX_CALLS = 20;

/**
 * Returns the next tasks in a state; null for a group that lists none. Goes on over tasks in other states: the missing tasks of a
 * large group are often its last ones.
 */
export async function findTasks(
  api: ApiClient,
  subject: SubjectId,
  { state, after }: { readonly state: TaskState; readonly after: number },
): Promise<TaskPage | null> {
  let at = after;
  for (let call = 1; ; call++) {
    const page = await api.tasks(subject, { state, after: at, limit: call === 1 ? FIRST : FURTHER });
    if (page === null || page.items.length > 0 || page.next === null || call === MAX_CALLS) return page;
    at = page.next;
  }
}
