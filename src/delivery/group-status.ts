import type { GroupView } from "../core/group/record.js";
import type { Claim } from "../core/outbox/attempts.js";
import type { DeliveryState, DeliveryView } from "../core/outbox/deliveries.js";

/**
 * A group's status, read atomically. Its `state` decides the type of the other fields. Every state except `open` is
 * final.
 */
export type GroupStatus = OpenGroup | CompletedGroup | TimedOutGroup | CancelledGroup;

/** The fields of every state. */
interface GroupFields {
  readonly groupId: string;
  /** Which registration of the id this is. Grows with every restart and never decreases. */
  readonly generation: number;
  /** How many tasks were registered. */
  readonly total: number;
  /** How many distinct tasks were acked without an error. */
  readonly succeeded: number;
  /** How many distinct tasks failed. */
  readonly failed: number;
  /** How many tasks neither succeeded nor failed. */
  readonly remaining: number;
  /** The first 100 failures, in the order of their acks. `failed` counts all of them. */
  readonly errors: readonly { readonly taskId: string; readonly message: string }[];
  /** The registration's `metadata`. */
  readonly metadata: unknown;
  /** When an open group times out, in milliseconds since 1970 by the backend's clock; null without a deadline. */
  readonly deadlineAtMs: number | null;
  /** The durable callback of this generation. */
  readonly delivery: DeliveryStatus;
}

/** A group that takes acks. */
export interface OpenGroup extends GroupFields {
  readonly state: "open";
  readonly ok: false;
  readonly reason: null;
}

/** A group whose tasks all succeeded or failed. */
export interface CompletedGroup extends GroupFields {
  readonly state: "completed";
  /** No task failed. */
  readonly ok: boolean;
  readonly reason: null;
}

/** A group whose deadline passed while tasks were open. */
export interface TimedOutGroup extends GroupFields {
  readonly state: "timed_out";
  readonly ok: false;
  readonly reason: null;
}

/** A group that a caller cancelled. */
export interface CancelledGroup extends GroupFields {
  readonly state: "cancelled";
  readonly ok: false;
  /** The reason that the caller gave to `cancel`. */
  readonly reason: string;
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
}

/** Returns the status of a group as callers receive it. The union above describes every view that the core returns. */
export function groupStatus(groupId: string, view: GroupView): GroupStatus {
  const status = {
    groupId,
    generation: view.generation,
    state: view.state,
    ok: view.state === "completed" && view.failed === 0,
    reason: view.reason ?? null,
    total: view.total,
    succeeded: view.succeeded,
    failed: view.failed,
    remaining: view.remaining,
    errors: view.errors,
    metadata: view.metadata === undefined ? null : JSON.parse(view.metadata),
    deadlineAtMs: view.deadlineAtMs ?? null,
    delivery: deliveryStatus(view.delivery),
  };
  return status as GroupStatus;
}

function deliveryStatus(view: DeliveryView): DeliveryStatus {
  return {
    state: view.state,
    deliveryId: view.deliveryId ?? null,
    attempts: view.attempts,
    lastError: view.lastError ?? null,
  };
}

/** Returns the group's status at its end. It is the same in every attempt of a delivery. */
export function statusAtEnd(groupId: string, { snapshot, deliveryId }: Claim): GroupStatus {
  const view = JSON.parse(snapshot) as GroupView;
  const errors = Array.isArray(view.errors) ? view.errors : [];
  return groupStatus(groupId, { ...view, errors, delivery: { state: "pending", deliveryId, attempts: 0 } });
}
