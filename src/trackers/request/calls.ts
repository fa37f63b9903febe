import type { Verdict } from "../../core/group/acks.js";
import type { Payloads } from "../../delivery/handler.js";
import type { Names } from "../../lib/known-options.js";
import type { TraceOptions } from "../call-options.js";
import type { AddResult } from "../group/calls.js";
import type { RegisterOptions } from "../group/registration.js";
import type { TaskId } from "../group/task.js";
import type { RequestState, RequestStatus } from "./status.js";

/** The most that one call may count. */
export const MAX_COUNT = 1_000_000_000;

/** Options of a request's registration. */
export interface RequestRegisterOptions<T extends Payloads = Payloads>
  extends Pick<
    RegisterOptions<T>,
    | "timeoutSec"
    | "ttlSec"
    | "parent"
    | "metadata"
    | "onSuccess"
    | "onComplete"
    | "onTimeout"
    | "onEnd"
    | "traceparent"
    | "signal"
  > {
  /** Names this call for `abandon`: 1 to 256 bytes, different for each call. @default a random name */
  readonly caller?: string | undefined;
}

/** Tasks of a later stage that continue the work of a task: the request waits for them instead. */
export interface NextTasks<S extends string = string> {
  readonly stage: S;
  readonly taskIds: TaskIds;
}

/** A task of a stage: its id, or its id with the child group that is cancelled when the request ends without the task. */
export type AddedId =
  | TaskId
  | { readonly id: TaskId; readonly group?: string | { readonly requestId: string } | undefined };

/** One task, or a list of tasks of one stage. */
export type TaskIds = AddedId | readonly AddedId[];

/** Options of a done task. */
export interface TaskDoneOptions<S extends string = string> extends TraceOptions {
  /** How much was processed for the task: 0 to 10⁹. @default 1 */
  readonly processed?: number | undefined;
  /** Any JSON value of up to 16 KB. `results` returns it. */
  readonly result?: unknown;
  /** Tasks that continue the work, up to 1,000. They are added in the same step. */
  readonly next?: readonly NextTasks<S>[] | undefined;
}

/** Counts that settle no task. */
export interface StageCount {
  /** Work that was done on the way: 0 to 10⁹. */
  readonly processed?: number | undefined;
  /** Attempts that will be repeated: 0 to 10⁹. */
  readonly requeued?: number | undefined;
  /** An error that ends no task, cut to 1,024 bytes of UTF-8. */
  readonly error?: string | undefined;
}

/** The result of a call about one request. */
export interface RequestResult {
  /**
   * `accepted`: it counted, now or by the first copy of this call. `duplicate`: the task had counted before. `early`: the task
   * is not announced yet, or its request is not registered, and the ack is kept for five minutes. `late`: the request has
   * ended. `cancelled`: it was cancelled. `unknown`: the request was removed, there is no room for more early acks, or a
   * `count` found no such request.
   */
  readonly verdict: Verdict;
  readonly state: RequestState | "unknown";
}

/** The result of `add`. */
export interface AddTasksResult<S extends string = string> {
  /** `sealed`: the request takes no more tasks. `late`: it has ended. `unknown`: there is no such request. */
  readonly outcome: AddResult["outcome"];
  /** The ids of the tasks that are new and open: start their work after this call. */
  readonly added: readonly string[];
  /** The status after the call; null for an unknown request. */
  readonly status: RequestStatus<S> | null;
}

/** The result of `abandon`. */
export interface AbandonResult<S extends string = string> {
  /**
   * `cancelled`: the request was cancelled. `joined`: another caller still works on it, or this caller is not known. `late`: it
   * is sealed or has ended, and goes on. `unknown`: there is no such request.
   */
  readonly outcome: "cancelled" | "joined" | "late" | "unknown";
  readonly status: RequestStatus<S> | null;
}

/** The names of the options, by which unknown ones are refused. */
export const REGISTER_OPTIONS: Names<RequestRegisterOptions> = {
  timeoutSec: true,
  ttlSec: true,
  parent: true,
  metadata: true,
  onSuccess: true,
  onComplete: true,
  onTimeout: true,
  onEnd: true,
  caller: true,
  traceparent: true,
  signal: true,
};
export const DONE_OPTIONS: Names<TaskDoneOptions> = {
  processed: true,
  result: true,
  next: true,
  traceparent: true,
  signal: true,
};
export const FAIL_OPTIONS: Names<TraceOptions> = { traceparent: true, signal: true };
export const COUNT: Names<StageCount> = { processed: true, requeued: true, error: true };
export const FAILURE = { caller: true, message: true } as const;
export const NEXT: Names<NextTasks> = { stage: true, taskIds: true };
