import type { GroupView } from "../core/group/view.js";
import type { Claim } from "../core/outbox/attempts.js";
import type { DeliveryState, DeliveryView } from "../core/outbox/deliveries.js";
import type { StoredTask } from "./targets/parent-task.js";

/**
 * A group's status, read atomically. Its `state` decides the type of the other fields. Every state except `open` is
 * final.
 */
export type GroupStatus = OpenGroup | CompletedGroup | FailedGroup | TimedOutGroup | CancelledGroup;

/** The fields of every state. */
interface GroupFields {
  readonly groupId: string;
  /** Which registration of the id this is. Grows with every restart and never decreases. */
  readonly generation: number;
  /** Differs after every change of the group. Pass it to `progress` as `after` to wait for the next one. */
  readonly version: string;
  /** `add` adds no more tasks. A group that was registered without `open` is sealed from the start. */
  readonly sealed: boolean;
  /** How many tasks were announced. */
  readonly total: number;
  /** How many distinct tasks were acked without an error. */
  readonly succeeded: number;
  /** How many distinct tasks failed. */
  readonly failed: number;
  /** How many tasks neither succeeded nor failed. */
  readonly remaining: number;
  /** The first 20 errors, each up to 256 bytes. `tasks({ state: "failed" })` lists every failed task. */
  readonly errors: readonly GroupError[];
  /** How many errors were counted. A task that was opened again may have caused several. */
  readonly errorCount: number;
  /** The counts by stage, in the order in which calls named the stages. Empty where tasks have no stages. */
  readonly stages: { readonly [stage: string]: GroupStage };
  /** The registration's `metadata`. */
  readonly metadata: unknown;
  /**
   * The task of another group or request that this group's end settles: the registration's `parent`. Null without one, and in
   * the data of a delivery that an earlier version queued.
   */
  readonly parent: GroupParent | null;
  readonly registeredAtMs: number;
  /** When an open group times out, in milliseconds since 1970 by the backend's clock; null without a deadline. */
  readonly deadlineAtMs: number | null;
  /** When a task was last counted; null before the first. */
  readonly lastAckAtMs: number | null;
  /** The durable callback of this generation; without one, the delivery to the parent's task. */
  readonly delivery: DeliveryStatus;
}

/** An error of a task, or one that ended no task. */
export interface GroupError {
  /** Null for an error that ended no task. */
  readonly taskId: string | null;
  readonly stage: string | null;
  readonly message: string;
}

/** A task of another group or request, which waits for this group. */
export type GroupParent = {
  readonly stage: string | null;
  readonly taskId: string;
  /** The parent's generation, where the registration named it. */
  readonly generation: number | null;
} & ({ readonly groupId: string; readonly requestId: null } | { readonly groupId: null; readonly requestId: string });

/** The counts of a stage. */
export interface GroupStage {
  /** How many tasks of the stage were announced. */
  readonly total: number;
  /** How many of them are open. */
  readonly open: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly processed: number;
  readonly requeueCount: number;
  readonly errorCount: number;
}

/** A group that takes acks. */
export interface OpenGroup extends GroupFields {
  readonly state: "open";
  readonly ok: false;
  readonly completionReason: null;
  readonly reason: null;
  readonly endedAtMs: null;
}

/** A group whose tasks all succeeded or failed, or that reached `minSuccessful`. */
export interface CompletedGroup extends GroupFields {
  readonly state: "completed";
  /** No task failed. */
  readonly ok: boolean;
  readonly completionReason: "all_completed" | "min_successful_reached";
  readonly reason: null;
  readonly endedAtMs: number;
}

/** A group that can no longer meet its policy: too many tasks failed, or too few are left. */
export interface FailedGroup extends GroupFields {
  readonly state: "failed";
  readonly ok: false;
  readonly completionReason: "failure_tolerance_exceeded";
  readonly reason: null;
  readonly endedAtMs: number;
}

/** A group that a clock ended while tasks were open, or before it was sealed. */
export interface TimedOutGroup extends GroupFields {
  readonly state: "timed_out";
  readonly ok: false;
  readonly completionReason: null;
  /** `deadline`: after `timeoutSec`. `idle`: no call for `idleTimeoutSec`. `silent`: no call and no waiter for `ttlSec`. */
  readonly reason: "deadline" | "idle" | "silent";
  readonly endedAtMs: number;
}

/** A group that a caller, its parent or its removal cancelled. */
export interface CancelledGroup extends GroupFields {
  readonly state: "cancelled";
  readonly ok: false;
  readonly completionReason: null;
  /** The reason that the caller gave to `cancel`. */
  readonly reason: string;
  readonly endedAtMs: number;
}

/** The state of a group's durable callback. */
export interface DeliveryStatus {
  /**
   * `none`: the group is open, or its registration has no durable callback for this end. `dead`: a dead letter, until
   * `redeliver`.
   */
  readonly state: DeliveryState;
  /** The idempotency key of the callback: fixed at registration, the same in all attempts. */
  readonly deliveryId: string | null;
  /** How many attempts began. */
  readonly attempts: number;
  /**
   * Why the last attempt failed, or why none was made. It shows the message of a `CoordinationError`. For any other
   * error it is `the handler failed` or `the webhook failed`, because callers and tenants read it.
   */
  readonly lastError: string | null;
  /** When the next attempt is due, or when the lease of the current one ends; null when none is pending. */
  readonly nextAttemptAtMs: number | null;
}

/** Returns the status of a group as callers receive it. The union above describes every view that the core returns. */
export function groupStatus(groupId: string, view: GroupView): GroupStatus {
  const status = {
    groupId,
    generation: view.generation,
    version: `${view.generation}.${view.changes}`,
    state: view.state,
    ok: view.state === "completed" && view.failed === 0,
    completionReason: view.completionReason ?? null,
    reason: view.reason ?? null,
    sealed: view.sealed,
    total: view.total,
    succeeded: view.succeeded,
    failed: view.failed,
    remaining: view.remaining,
    errors: view.errors.map(({ taskId, stage, message }) => ({
      taskId: taskId ?? null,
      stage: stage ?? null,
      message,
    })),
    errorCount: view.errorCount,
    stages: stagesOf(view),
    metadata: view.metadata === undefined ? null : JSON.parse(view.metadata),
    parent: view.parent === undefined ? null : parentOf(view.parent),
    registeredAtMs: view.registeredAtMs,
    deadlineAtMs: view.deadlineAtMs ?? null,
    lastAckAtMs: view.lastAckAtMs ?? null,
    endedAtMs: view.endedAtMs ?? null,
    delivery: deliveryStatus(view.delivery),
  };
  return status as GroupStatus;
}

function parentOf(text: string): GroupParent {
  const { machine, id, stage = null, taskId, generation = null } = JSON.parse(text) as StoredTask;
  const ids = machine === "request" ? { groupId: null, requestId: id } : { groupId: id, requestId: null };
  return { ...ids, stage, taskId, generation };
}

function stagesOf({ stages }: GroupView): GroupStatus["stages"] {
  // An empty list came through Lua as an object. Entries define their keys: a stage named `__proto__` stays a stage.
  const list = Array.isArray(stages) ? stages : [];
  return Object.fromEntries(
    list.map(({ stage, total, succeeded, failed, processed, requeued, errors }) => {
      const open = total - succeeded - failed;
      return [stage, { total, open, succeeded, failed, processed, requeueCount: requeued, errorCount: errors }];
    }),
  );
}

function deliveryStatus(view: DeliveryView): DeliveryStatus {
  return {
    state: view.state,
    deliveryId: view.deliveryId ?? null,
    attempts: view.attempts,
    lastError: view.lastError ?? null,
    nextAttemptAtMs: view.nextAttemptAtMs ?? null,
  };
}

/** Returns the group's status at its end. It is the same in every attempt of a delivery. */
export function statusAtEnd(groupId: string, { snapshot, deliveryId }: Claim): GroupStatus {
  const view = JSON.parse(snapshot) as GroupView;
  const errors = Array.isArray(view.errors) ? view.errors : [];
  return groupStatus(groupId, { ...view, errors, delivery: { state: "pending", deliveryId, attempts: 0 } });
}
