import type { GroupState, GroupView } from "../core/group/record.js";
import type { DeliveryState, DeliveryView } from "../core/outbox/deliveries.js";

/** A group as one atomic step saw it. */
export interface GroupStatus {
  readonly groupId: string;
  /** Which registration of the id this is: grows with every restart, and never falls back. */
  readonly generation: number;
  /** Anything but `open` is final. */
  readonly state: GroupState;
  /** Completed, and no task failed. */
  readonly ok: boolean;
  /** What `cancel` was told. */
  readonly reason: string | null;
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
  /** What the registration gave along. */
  readonly metadata: unknown;
  /** When an open group times out; null without a deadline. Milliseconds since 1970, by the backend's clock. */
  readonly deadlineAtMs: number | null;
  /** What became of the durable callback of this generation. */
  readonly delivery: DeliveryStatus;
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

export function groupStatus(groupId: string, view: GroupView): GroupStatus {
  return {
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
}

function deliveryStatus(view: DeliveryView): DeliveryStatus {
  return {
    state: view.state,
    deliveryId: view.deliveryId ?? null,
    attempts: view.attempts,
    lastError: view.lastError ?? null,
  };
}
