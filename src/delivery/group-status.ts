import type { GroupView } from "../core/group/record.js";
import type { Claim } from "../core/outbox/attempts.js";
import type { DeliveryState, DeliveryView } from "../core/outbox/deliveries.js";

/** A group as one atomic step saw it. Its `state` says which fields hold what; any state but `open` is final. */
export type GroupStatus = OpenGroup | CompletedGroup | TimedOutGroup | CancelledGroup;

/** What every state says. */
interface GroupFields {
  readonly groupId: string;
  /** Which registration of the id this is: grows with every restart, and never falls back. */
  readonly generation: number;
  /** How many tasks were registered. */
  readonly total: number;
  /** How many distinct tasks were acked without an error. */
  readonly succeeded: number;
  /** How many distinct tasks failed. */
  readonly failed: number;
  /** How many tasks neither succeeded nor failed. */
  readonly remaining: number;
  /** The first 100 failures, in the order of their acks; `failed` is the true count. */
  readonly errors: readonly { readonly taskId: string; readonly message: string }[];
  /** The registration's `metadata`. */
  readonly metadata: unknown;
  /** When an open group times out; null without a deadline. Milliseconds since 1970, by the backend's clock. */
  readonly deadlineAtMs: number | null;
  /** What became of the durable callback of this generation. */
  readonly delivery: DeliveryStatus;
}

/** A group that takes acks. */
export interface OpenGroup extends GroupFields {
  readonly state: "open";
  readonly ok: false;
  readonly reason: null;
}

/** All of its tasks succeeded or failed. */
export interface CompletedGroup extends GroupFields {
  readonly state: "completed";
  /** No task failed. */
  readonly ok: boolean;
  readonly reason: null;
}

/** Its deadline passed while tasks were open. */
export interface TimedOutGroup extends GroupFields {
  readonly state: "timed_out";
  readonly ok: false;
  readonly reason: null;
}

/** A caller cancelled it. */
export interface CancelledGroup extends GroupFields {
  readonly state: "cancelled";
  readonly ok: false;
  /** The reason of `cancel`. */
  readonly reason: string;
}

/** What became of the group's durable callback. */
export interface DeliveryStatus {
  /** `none`: nobody asked for one at this end, or the group is open. `dead`: given up, until `redeliver`. */
  readonly state: DeliveryState;
  /** Fixed at registration: the key that makes the effect of many attempts one. */
  readonly deliveryId: string | null;
  /** How many attempts were begun. */
  readonly attempts: number;
  /**
   * Why the last attempt failed, or why none was made. Shows the message of a `CoordinationError`, and for any other error
   * `the handler failed` or `the webhook failed`: callers and tenants read it.
   */
  readonly lastError: string | null;
}

/** Returns the status of a group as callers receive it. The core's views keep to the union above. */
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

/** The group as it stood when it ended: the same words in every attempt of a delivery. */
export function statusAtEnd(groupId: string, { snapshot, deliveryId }: Claim): GroupStatus {
  const view = JSON.parse(snapshot) as GroupView;
  const errors = Array.isArray(view.errors) ? view.errors : [];
  return groupStatus(groupId, { ...view, errors, delivery: { state: "pending", deliveryId, attempts: 0 } });
}
