import type { Coordinator, GroupStatus, GroupTask, RequestStatus, TaskPage, TaskRef } from "../src/index.js";
import { CompletionTracker, RequestWaitTracker } from "../src/index.js";
import { EXIT, Failure } from "./exit.js";
import { type Kind, type Snapshot, snapshotOf } from "./snapshot.js";
import { printable } from "./text/printable.js";

/** The status as programs read it. */
export type Status = GroupStatus | RequestStatus;

export interface Redone {
  readonly outcome: "retried" | "late" | "unknown";
  readonly reopened: number;
}

export interface TaskQuery {
  readonly state?: GroupTask["state"] | undefined;
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A task, and the group or request that does it. */
export interface ChildTask extends Pick<GroupTask, "stage" | "taskId"> {
  readonly kind: Kind;
  readonly id: string;
}

/** A group or a request that a command is about. */
export interface Subject {
  readonly kind: Kind;
  readonly id: string;
  /** Returns the public status, as `--json` prints it; null for an unknown id. */
  status(): Promise<Status | null>;
  /** Returns the status in the form that texts are made from. */
  snapshot(): Promise<Snapshot | null>;
  tasks(query: TaskQuery): Promise<TaskPage | null>;
  /** Returns the first children of open tasks, as the tasks were added with them. */
  children(limit: number): Promise<ChildTask[]>;
  progress(after: string | undefined): AsyncIterable<Status>;
  seal(generation: number | undefined): Promise<Status | null>;
  redeliver(generation: number | undefined): Promise<Status | null>;
  retry(tasks: readonly TaskRef[]): Promise<Redone>;
  extend(timeoutSec: number, generation: number | undefined): Promise<Status | null>;
  cancel(reason: string, options: { readonly generation?: number; readonly cascade: boolean }): Promise<Status | null>;
}

export interface SubjectOptions {
  readonly id: string;
  readonly kind: Kind;
  readonly signal: AbortSignal;
}

/** Returns the group or the request of an id. Sends nothing. */
export function subjectOf(coordinator: Coordinator, { id, kind, signal }: SubjectOptions): Subject {
  const isGroup = kind === "group";
  const groups = new CompletionTracker(coordinator);
  const requests = new RequestWaitTracker(coordinator, { stages: "any" });
  const tracker = isGroup ? groups : requests;
  return {
    kind,
    id,
    status: () => tracker.status(id, { signal }),
    async snapshot() {
      const { view } = await coordinator.run(isGroup ? "completion.status" : "request.status", id, {}, { signal });
      return view === undefined ? null : snapshotOf(kind, id, view);
    },
    tasks: (query) => tracker.tasks(id, { signal, ...query }),
    async children(limit) {
      const step = isGroup ? "completion.children" : "request.children";
      const { items } = await coordinator.run(step, id, { after: 0, limit }, { signal });
      return items.map(({ id: taskId, stage = null, machine, groupId }) => {
        return { taskId, stage, kind: machine === "request" ? "request" : "group", id: groupId };
      });
    },
    progress: (after) => tracker.progress(id, { after, signal }),
    seal: (generation) => (isGroup ? groups.seal(id, { generation, signal }) : requests.seal(id, { signal })),
    redeliver: (generation) => tracker.redeliver(id, { generation, signal }),
    extend: (timeoutSec, generation) => tracker.extend(id, { timeoutSec, generation, signal }),
    cancel: (reason, options) => tracker.cancel(id, reason, { ...options, signal }),
    async retry(tasks) {
      if (!isGroup) return retryOfRequest(requests, id, tasks);
      const { outcome, reopened } = await groups.retry(id, tasks, { signal });
      return { outcome, reopened: reopened.length };
    },
  };
}

/** A call of a request names one stage. */
async function retryOfRequest(requests: RequestWaitTracker, id: string, tasks: readonly TaskRef[]): Promise<Redone> {
  const byStage = new Map<string, (string | number)[]>();
  for (const task of tasks) {
    const { stage, id: taskId } = typeof task === "object" ? task : { stage: undefined, id: task };
    if (stage === undefined) throw new Failure(EXIT.usage, "a task of a request has a stage: give --stage");
    byStage.set(stage, [...(byStage.get(stage) ?? []), taskId]);
  }
  let redone: Redone = { outcome: "retried", reopened: 0 };
  for (const [stage, taskIds] of byStage) {
    const { outcome, reopened } = await requests.retry(id, stage, taskIds);
    redone = { outcome, reopened: redone.reopened + reopened.length };
    if (outcome !== "retried") return redone;
  }
  return redone;
}

/** Yields every task, page by page. Ends for an unknown id. */
export async function* allTasks(subject: Subject, query: TaskQuery): AsyncGenerator<GroupTask, void> {
  let { after }: { readonly after?: number | null | undefined } = query;
  do {
    const page: TaskPage | null = await subject.tasks({ ...query, after: after ?? 0 });
    if (page === null) return;
    yield* page.items;
    after = page.next;
  } while (after !== null);
}

/** Returns the error of an id that the backend does not know. */
export function notFound({ kind, id }: { readonly kind: Kind; readonly id: string }, text: string): Failure {
  return new Failure(EXIT.notFound, `${kind} ${printable(id)} is not known: ${text}`);
}
