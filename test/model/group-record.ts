import type { DeliveryModel } from "./delivery-model.js";

/** The plain data of the group model: sets and lists, no counters. */

/** A task: a stage and an id. Without a stage: "". */
export interface Task {
  readonly stage?: string;
  readonly id: string;
}

/** A task as an ack brings it. `result` is any JSON value. */
export interface TaskDone extends Task {
  readonly result?: unknown;
  readonly error?: string;
  readonly processed?: number;
}

export interface Policy {
  readonly minSuccessful?: number;
  readonly toleratedFailureCount?: number;
  /** The percentage × 10,000. */
  readonly toleratedFailurePpm?: number;
}

/** The end that has a handler, which fails so often first, or which no instance has. */
export interface Target {
  readonly end: "onSuccess" | "onFailure" | "onComplete" | "onTimeout" | "onEnd";
  readonly handler: "record" | "flaky" | "nobody";
  readonly failures: number;
}

/** The input of a registration, besides its id. */
export interface Spec {
  /** What makes two registrations the same. */
  readonly fingerprint: string;
  /** The listed tasks in the order of their announcement, or how many there are. */
  readonly tasks: readonly Task[] | number;
  readonly grows?: boolean | undefined;
  readonly policy?: Policy | undefined;
  readonly target?: Target | undefined;
  /** 0: no deadline. */
  readonly timeoutMs: number;
  readonly idleMs?: number | undefined;
  readonly ttlMs: number;
  readonly metadata?: unknown;
}

export interface Restart {
  readonly from?: number;
  readonly keep?: "succeeded";
}

export type State = "open" | "completed" | "failed" | "timed_out" | "cancelled";
export type Verdict = "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";

/** An announced task. `op`: the call that settled it last, also after a retry. */
export interface Entry {
  readonly task: Task;
  state: "open" | "succeeded" | "failed";
  op: string;
  error?: Failure;
}

/** An ack of a task that is not announced. */
export interface Early {
  readonly task: TaskDone;
  readonly op: string;
  /** The tasks that follow. */
  next: readonly Task[] | undefined;
  untilMs: number;
}

/** A counted error. `isGone`: its task was opened again. */
export interface Failure {
  readonly task: Task | undefined;
  readonly stage: string | undefined;
  readonly message: string;
  isGone: boolean;
}

export interface Counts {
  total: number;
  succeeded: number;
  failed: number;
  processed: number;
  requeued: number;
  errors: number;
}

/** One registration of an id. */
export interface Generation {
  readonly spec: Spec;
  readonly number: number;
  /** The generation that its registration named. */
  readonly from: number | undefined;
  /** The calls that made the last generations. */
  readonly ops: readonly string[];
  /** The calls that removed the last generations. */
  removals: readonly string[];
  /** How many generations have used its record since its marks went. */
  readonly epoch: number;
  /** The earlier generations that it has restarted in place. */
  readonly chain: readonly number[];
  readonly entries: Map<string, Entry>;
  readonly early: Map<string, Early>;
  /** What `add`, `seal`, `retry`, `count`, `decrement` and `abandon` have answered, by their calls. */
  readonly answers: Map<string, { readonly answer: string; readonly atMs: number }>;
  readonly failures: Failure[];
  readonly results: { readonly task: Task; readonly result: unknown }[];
  readonly stages: Map<string, Counts>;
  /** The callers of a request that have not abandoned it. */
  readonly callers: Set<string>;
  /** A task with a stage was announced, or a stage was counted: only then a status shows stages. */
  hasStages: boolean;
  /** Tasks that were counted without ids. */
  anonymous: number;
  isSealed: boolean;
  state: State;
  reason: string | undefined;
  completionReason: string | undefined;
  /** The task whose ack ended it. */
  endedBy: string | undefined;
  endedAtMs: number;
  deadlineAtMs: number | undefined;
  /** The last write that put off its idle end or its silent end, and the last look of a waiter. */
  touchedAtMs: number;
  followedAtMs: number;
  /** When its deliveries were last queued. */
  queuedAtMs: number;
  removedAtMs: number | undefined;
  delivery: DeliveryModel | undefined;
  changes: number;
}

/** The input of an ack. */
export interface AckCall {
  readonly tasks: readonly TaskDone[];
  readonly next?: readonly Task[] | undefined;
  readonly generation?: number | undefined;
  /** How long an ack of an unregistered group is kept; 0: not at all. */
  readonly earlyTtlMs: number;
}

/** The answer to an ack of one task. */
export interface Acked {
  readonly verdict: Verdict;
  readonly state: State | "unregistered";
  readonly ended: boolean;
  readonly remaining: number | undefined;
  readonly generation: number | undefined;
  /** No task of the record is open. */
  readonly complete: boolean;
}

/** The answer to a call that changes an open group, with a letter for each task. */
export interface Changed {
  readonly outcome: string;
  readonly letters?: string;
}

export interface CountCall {
  readonly stage: string;
  readonly processed?: number | undefined;
  readonly requeued?: number | undefined;
  readonly error?: string | undefined;
  readonly generation?: number | undefined;
}

export const keyOf = ({ stage = "", id }: Task): string => `${stage}|${id}`;

/** Tasks without repetitions, those of a stage together: the order in which a call announces them. */
export function inOrder<T extends Task>(tasks: readonly T[]): T[] {
  const byStage = new Map<string, Map<string, T>>();
  for (const task of tasks) {
    const { stage = "" } = task;
    const ids = byStage.get(stage) ?? new Map<string, T>();
    byStage.set(stage, ids);
    if (!ids.has(task.id)) ids.set(task.id, task);
  }
  return [...byStage.values()].flatMap((ids) => [...ids.values()]);
}

export const noCounts = (): Counts => ({ total: 0, succeeded: 0, failed: 0, processed: 0, requeued: 0, errors: 0 });

/** How many tasks are not settled. */
export function leftOf(generation: Generation): number {
  return totalOf(generation) - countOf(generation, "succeeded") - countOf(generation, "failed");
}

export function totalOf({ spec, entries }: Generation): number {
  return typeof spec.tasks === "number" ? spec.tasks : entries.size;
}

export function countOf({ entries, anonymous }: Generation, state: Entry["state"]): number {
  let sum = state === "succeeded" ? anonymous : 0;
  for (const entry of entries.values()) if (entry.state === state) sum++;
  return sum;
}

export const isSealed = ({ spec, isSealed: sealed }: Generation): boolean => spec.grows !== true || sealed;

/** No announced task is open, and one was announced or none can be. */
export const hasNoOpenTask = (generation: Generation): boolean =>
  leftOf(generation) <= 0 && (totalOf(generation) > 0 || isSealed(generation));
