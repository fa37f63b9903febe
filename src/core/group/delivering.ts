import { decode } from "../host.js";
import {
  type Claimed,
  claim,
  type SettleInput,
  settle as settleDelivery,
  type WokenInput,
} from "../outbox/attempts.js";
import { type DeliveryView, deliveryMembers, describe, pendingKeys, read, redeliverAll } from "../outbox/deliveries.js";
import type { Store } from "../store.js";
import { PARENTS_CANCEL } from "./cancellation.js";
import { markOf } from "./counting.js";
import { arm, type Group, openAny, openGroup, REMOVED_MS, save } from "./group.js";
import { CHILDREN_PER_LIST, type Child, isOther } from "./growth.js";
import { chainOf, childrenName, type GroupHead, isOpen } from "./record.js";
import { markName } from "./task-set.js";
import { type GroupView, viewOf } from "./view.js";

/** Delivers the end of a group: claims, settlements, the plain function, and the child groups to cancel. */

/** The timer rang: applies the clocks, claims the deliveries that are due, and sets the next timer. */
export function woken(store: Store, input: WokenInput): Claimed {
  const group = openAny(store);
  if (group === undefined) return { claims: [] };
  compact(group);
  const claimed = claim(store, group.head, input);
  arm(group);
  return claimed;
}

export function settle(store: Store, input: SettleInput): { settled: boolean; delivery?: DeliveryView } {
  const group = openAny(store);
  if (group === undefined || !settleDelivery(store, group.head, input)) return { settled: false };
  compact(group);
  arm(group);
  return { settled: true, delivery: describe(store, group.head, group.head.generation) };
}

/** A minute after its removal, a group keeps nothing but its outbox. */
function compact({ store, head }: Group): void {
  if (head.removedAtMs === undefined || head.isCompact === true || head.removedAtMs + REMOVED_MS > store.nowMs) return;
  const members: [string, string][] = [];
  for (const name of ["reg", PARENTS_CANCEL, ...owedMembers(store, head)]) {
    const value = store.get(name);
    if (value !== undefined) members.push([name, value]);
  }
  store.clear();
  for (const [name, value] of members) store.set(name, value);
  head.isCompact = true;
}

/** Returns the members that pending deliveries need: their own, and the children that a cascade has still to cancel. */
export function owedMembers(store: Store, head: GroupHead): string[] {
  const names = deliveryMembers(head);
  for (const key of pendingKeys(head)) {
    const children = read(store, key)?.children;
    if (children === undefined) continue;
    for (let list = 1; list <= children.lists; list++) names.push(childrenName(children.chain, list));
  }
  return names;
}

/** The member that names the process which took the plain function of this generation. */
export const TAKER = "taker";

/** Takes the call of a plain function: one of the instances that hold a function for this generation gets it. */
export function take(store: Store, input: { op: string; generation: number }): { taken: boolean } {
  const group = openAny(store);
  if (group === undefined || group.head.generation !== input.generation || isOpen(group.head)) return { taken: false };
  const taker = store.get(TAKER);
  if (taker !== undefined) return { taken: taker === input.op };
  store.set(TAKER, input.op);
  arm(group);
  return { taken: true };
}

export interface RedeliverInput {
  op: string;
  generation?: number;
  /** How long after the last call another one is refused. The Worker's quota. @default 0 */
  pauseMs?: number;
}

export interface RedeliverOutput {
  view?: GroupView;
  /** Refused: nothing was queued. */
  retryAfterMs?: number;
}

/** Queues deliveries again: the group's own, and the dead letters of its earlier generations. A copy of a call does nothing. */
export function redeliver(store: Store, input: RedeliverInput): RedeliverOutput {
  const group = openGroup(store);
  if (group === undefined) return {};
  const { head } = group;
  if (head.outbox !== undefined && !isOther(group, input.generation) && store.get("redelivered") !== input.op) {
    const pauseMs = input.pauseMs ?? 0;
    // The clock may have been set back.
    const leftMs = Math.min((head.redeliveredAtMs ?? 0) + pauseMs - store.nowMs, pauseMs);
    if (leftMs > 0) return { view: viewOf(store, head), retryAfterMs: leftMs };
    store.set("redelivered", input.op);
    if (redeliverAll(store, head, head.generation)) head.redeliveredAtMs = store.nowMs;
    save(group);
  }
  return { view: viewOf(store, head) };
}

export interface ChildrenInput {
  /** The fields of the cascade's claim: the chain of generations, and how many lists of children it has. Default: those of now. */
  chain?: number;
  lists?: number;
  /** The position to go on after: 0 to begin. */
  after: number;
  limit: number;
  /** A page of `limit` children is smaller than any bound. */
  bytes?: number;
}

/**
 * Lists the child groups of tasks that have not settled, or had not when the group ended: then they are cancelled. After a
 * restart that is not in place the marks are gone: then all children are listed, and those that have ended stay as they are.
 *
 * Looks at some thousand children and 64 lists at most. So a page may hold fewer than `limit`, or none, and have a `next`.
 */
export function children(store: Store, input: ChildrenInput): { items: Child[]; next?: number } {
  const group = openAny(store);
  const items: Child[] = [];
  if (group === undefined) return { items };
  const own = chainOf(group.head);
  const chain = input.chain ?? own;
  const lists = input.lists ?? group.head.children ?? 0;
  const hasMarks = own === chain && group.head.isCompact !== true;
  let at = input.after;
  const first = Math.floor(at / CHILDREN_PER_LIST) + 1;
  let looked = 0;
  for (let list = first; list <= lists; list++) {
    if (looked >= CHILDREN_PER_LIST || list >= first + 64) return { items, next: at };
    const text = store.get(childrenName(chain, list));
    // The lists of a chain are written, kept and removed together.
    if (text === undefined) return { items };
    const begin = (list - 1) * CHILDREN_PER_LIST;
    const all = decode<Child[]>(text);
    looked += all.length;
    if (hasMarks) store.load(all.map((child) => markName(child)));
    for (let i = Math.max(0, at - begin); i < all.length; i++) {
      if (items.length >= input.limit) return { items, next: begin + i };
      const { state } = hasMarks ? markOf(group, all[i]!) : OPEN;
      if (state !== "succeeded" && state !== "failed") items.push(all[i]!);
    }
    at = begin + CHILDREN_PER_LIST;
  }
  return { items };
}

const OPEN = { state: "open" } as const;
