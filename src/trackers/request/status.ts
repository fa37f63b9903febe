import type { GroupState } from "../../core/group/record.js";
import type { DeliveryStatus, GroupParent, GroupStatus } from "../../delivery/group-status.js";

/**
 * The state of a request. `pending`: an announced task is open, or none was announced and the request is not sealed.
 * `complete`: no announced task is open. Until it is `final`, another task makes it pending again.
 */
export type RequestState = "pending" | "complete" | "timed_out" | "cancelled";

/** A request's status, read atomically. */
export interface RequestStatus<S extends string = string> {
  readonly requestId: string;
  readonly state: RequestState;
  /** The request has ended: its state does not change any more. */
  readonly final: boolean;
  /** The request takes no more tasks, except the `next` tasks of open ones. */
  readonly sealed: boolean;
  /** How many announced tasks are open. */
  readonly open: number;
  /** The counts by stage: the tracker's own stages, and others that calls have named. */
  readonly stages: { readonly [Stage in S]: StageStatus };
  /** Which registration of the id this is. Grows when the id is used again. */
  readonly generation: number;
  /** Differs after every change. Pass it to `progress` as `after` to wait for the next one. */
  readonly version: string;
  /** The reason of a `cancelled` or `timed_out` request; else null. */
  readonly reason: string | null;
  /** The registration's `metadata`. */
  readonly metadata: unknown;
  /**
   * The task of another group or request that this request's end settles: the registration's `parent`. Null without one, and in
   * the data of a delivery that an earlier version queued.
   */
  readonly parent: GroupParent | null;
  readonly registeredAtMs: number;
  /** When a pending request times out, in milliseconds since 1970 by the backend's clock; null without a deadline. */
  readonly deadlineAtMs: number | null;
  readonly endedAtMs: number | null;
  /** The durable callback of this generation. */
  readonly delivery: DeliveryStatus;
}

/** The counts of one stage. */
export interface StageStatus {
  /** How many tasks were announced. */
  readonly total: number;
  /** How many of them are open. */
  readonly open: number;
  readonly processed: number;
  readonly requeueCount: number;
  readonly errorCount: number;
  /** The first 20 errors of the request, each up to 256 bytes; `errorCount` counts them all. */
  readonly errors: readonly { readonly taskId: string | null; readonly message: string }[];
}

const STATES = { completed: "complete", failed: "complete", timed_out: "timed_out", cancelled: "cancelled" } as const;

/** Returns the status of a request as callers receive it. */
export function requestStatus<S extends string>(stages: readonly S[], group: GroupStatus): RequestStatus<S> {
  const { groupId, generation, version, reason, metadata, parent, delivery } = group;
  const { registeredAtMs, deadlineAtMs, endedAtMs } = group;
  return {
    requestId: groupId,
    state: requestStateOf(group),
    final: group.state !== "open",
    sealed: group.sealed,
    open: group.remaining,
    stages: stagesOf(stages, group),
    generation,
    version,
    reason,
    metadata,
    parent,
    registeredAtMs,
    deadlineAtMs,
    endedAtMs,
    delivery,
  };
}

/** Returns the state of a request. */
export function requestStateOf({
  state,
  remaining,
  total,
  sealed,
}: Pick<GroupStatus, "state" | "remaining" | "total" | "sealed">): RequestState {
  if (state !== "open") return STATES[state];
  return remaining <= 0 && (total > 0 || sealed) ? "complete" : "pending";
}

/** The state of a group after a call that changed one task. */
interface GroupAfter {
  readonly state: GroupState | "unregistered";
  /** No announced task is open. */
  readonly complete: boolean;
}

/** Returns the state of a request after a call that changed one task. */
export function stateAfter({ state, complete }: GroupAfter): RequestState | "unknown" {
  if (state === "unregistered") return "unknown";
  return requestStateOf({ state, remaining: complete ? 0 : 1, total: 1, sealed: false });
}

function stagesOf<S extends string>(stages: readonly S[], group: GroupStatus): RequestStatus<S>["stages"] {
  const none = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0 };
  const counts = [...stages.map((stage) => [stage, none] as const), ...Object.entries(group.stages)];
  // Entries define their keys: a stage named `__proto__` stays a stage.
  return Object.fromEntries(
    counts.map(([stage, { total, open, processed, requeueCount, errorCount }]) => {
      const own = group.errors.filter((error) => error.stage === stage);
      const errors = own.map(({ taskId, message }) => ({ taskId, message }));
      return [stage, { total, open, processed, requeueCount, errorCount, errors }];
    }),
  ) as unknown as RequestStatus<S>["stages"];
}
