import type { IndexLine, Store } from "../store.js";
import { openGroup } from "./group.js";
import { indexLineOf, type OwedDelivery, owedOf } from "./listing.js";
import { type GroupState, hasNoOpenTask } from "./record.js";

/** A group as a list shows it. */
export interface Brief {
  state: GroupState;
  generation: number;
  /** Counts changes, as in a status. */
  changes: number;
  /** A request without an open task. */
  complete?: boolean;
  total: number;
  succeeded: number;
  failed: number;
  registeredAtMs: number;
  deadlineAtMs?: number;
  lastAckAtMs?: number;
  endedAtMs?: number;
  delivery?: OwedDelivery;
}

/** Reads the head of a group alone. `line` says where the index must list it; absent for a record that it must not. */
export function brief(store: Store, _input: object): { brief?: Brief; line?: IndexLine } {
  const group = openGroup(store);
  if (group === undefined) return {};
  const { head } = group;
  const { state, generation, changes, total, succeeded, failed, registeredAtMs } = head;
  const view: Brief = { state, generation, changes, total, succeeded, failed, registeredAtMs };
  if (head.request === true && hasNoOpenTask(head)) view.complete = true;
  if (head.deadlineAtMs !== undefined) view.deadlineAtMs = head.deadlineAtMs;
  if (head.lastAckAtMs !== undefined) view.lastAckAtMs = head.lastAckAtMs;
  if (head.endedAtMs !== undefined) view.endedAtMs = head.endedAtMs;
  const delivery = owedOf(head);
  if (delivery !== undefined) view.delivery = delivery;
  return { brief: view, line: indexLineOf(head)! };
}
