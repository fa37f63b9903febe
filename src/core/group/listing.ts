import type { IndexLine } from "../store.js";
import type { GroupHead, GroupState } from "./record.js";

/**
 * The lists of the index: one for each state and delivery. A group has a line in one of them, while it is visible. So a
 * list of failed groups, or of dead letters, is read without a look at any other group.
 */

/** A delivery that a group still owes. `unhandled`: drains lack its handler. `dead`: a dead letter. */
export type OwedDelivery = "pending" | "unhandled" | "dead";

/** The order is stored: the number of a list is made from it. */
export const LISTED_STATES: readonly GroupState[] = ["open", "completed", "failed", "timed_out", "cancelled"];
export const LISTED_DELIVERIES: readonly (OwedDelivery | "none")[] = ["none", "pending", "unhandled", "dead"];

/** Returns the number of the list for a state and a delivery. */
export const listOf = (state: GroupState, delivery: OwedDelivery | "none"): number =>
  LISTED_STATES.indexOf(state) * LISTED_DELIVERIES.length + LISTED_DELIVERIES.indexOf(delivery);

/** Returns the state and the delivery of a list. */
export function placeOfList(list: number): { state: GroupState; delivery: OwedDelivery | "none" } {
  const deliveries = LISTED_DELIVERIES.length;
  return { state: LISTED_STATES[Math.floor(list / deliveries)]!, delivery: LISTED_DELIVERIES[list % deliveries]! };
}

/** Returns a list's name, such as `open` or `failed.dead`, for stores that name their lists. */
export function nameOfList(list: number): string {
  const { state, delivery } = placeOfList(list);
  return delivery === "none" ? `${state}` : `${state}.${delivery}`;
}

/** Returns the line of a group: open ones by their registration, ended ones by their end. A removed group has none. */
export function indexLineOf(head: GroupHead): IndexLine | undefined {
  if (head.removedAtMs !== undefined) return undefined;
  return { list: listOf(head.state, owedOf(head) ?? "none"), atMs: head.endedAtMs ?? head.registeredAtMs };
}

/**
 * Returns the worst delivery that the group owes, of this generation or an earlier one; `undefined` when it owes none. A
 * dead letter that has expired counts until the next write of its record.
 */
export function owedOf({ outbox }: GroupHead): OwedDelivery | undefined {
  if (outbox === undefined) return undefined;
  if (outbox.dead.length > 0) return "dead";
  if (outbox.due.length === 0) return undefined;
  for (const due of outbox.due) {
    if (due.unhandled !== undefined) return "unhandled";
  }
  return "pending";
}
