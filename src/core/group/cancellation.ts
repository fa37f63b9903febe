import { decode, encode } from "../host.js";
import { recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import { type EarlyHead, noEarlyHead } from "./early-acks.js";
import { arm, end, type Group, openAny, openGroup, save } from "./group.js";
import { isOther } from "./growth.js";
import { hasNoOpenTask, isOpen, isSealed, type Parent, readRegistration } from "./record.js";
import { operationsOf } from "./task-set.js";
import { type GroupView, viewOf } from "./view.js";

/** Ends a group early, and the child groups of its open tasks. */

/** The member of a child's record that holds its parent's cancellation: a later registration begins cancelled. */
export const PARENTS_CANCEL = "p";

interface ParentsCancel {
  key: string;
  generation?: number;
  reason: string;
  untilMs: number;
}

export interface CancelInput {
  reason: string;
  generation?: number;
  /** Child groups of open tasks stay as they are. */
  sparesChildren?: boolean;
}

/** Cancels an open group. An ended one stays as it is. */
export function cancel(store: Store, input: CancelInput): { view?: GroupView } {
  const group = openGroup(store);
  if (group === undefined) return {};
  const { head } = group;
  if (isOpen(head) && !isOther(group, input.generation)) {
    head.reason = input.reason;
    end(group, "cancelled", "cancel", input.sparesChildren === true ? { sparesChildren: true } : {});
    save(group);
  }
  return { view: viewOf(store, head) };
}

export interface ParentCancelInput {
  reason: string;
  /** The parent's task, as the child's registration names it. */
  key: string;
  /** The parent's generation that ended. */
  generation: number;
  ttlMs: number;
}

/**
 * Cancels a child of a group that has ended, if its own `parent` names that group and task. The cancellation stays in the
 * record: a child that is registered later, for that generation of the parent or an earlier one, begins cancelled.
 */
export function cancelChild(store: Store, input: ParentCancelInput): { cancelled: boolean } {
  const group = openAny(store);
  const cancellation: ParentsCancel = {
    key: input.key,
    generation: input.generation,
    reason: input.reason,
    untilMs: store.nowMs + input.ttlMs,
  };
  store.set(PARENTS_CANCEL, encode(cancellation));
  if (group === undefined) {
    const head = store.head<EarlyHead>() ?? noEarlyHead();
    head.untilMs = Math.max(head.untilMs, cancellation.untilMs);
    store.put(head);
    store.keepUntil(head.untilMs);
    return { cancelled: false };
  }
  const { head } = group;
  head.neededMs = Math.max(head.neededMs ?? 0, cancellation.untilMs);
  const { parent } = readRegistration(store);
  if (!isOpen(head) || !isMeant(parent, cancellation)) {
    arm(group);
    return { cancelled: false };
  }
  endByParent(group, input.reason);
  save(group);
  return { cancelled: true };
}

/** Ends a new generation whose parent ended before its registration. */
export function applyParentsCancel(group: Group, parent: Parent | undefined): void {
  const text = group.store.get(PARENTS_CANCEL);
  if (text === undefined) return;
  const cancellation = decode<ParentsCancel>(text);
  if (cancellation.untilMs <= group.store.nowMs) return;
  // The record must not expire before it: the next registration begins cancelled too.
  group.head.neededMs = cancellation.untilMs;
  if (isOpen(group.head) && isMeant(parent, cancellation)) endByParent(group, cancellation.reason);
}

function endByParent(group: Group, reason: string): void {
  group.head.reason = reason;
  end(group, "cancelled", "parent", { isParents: true });
}

/** A child without a generation of its parent belongs to whichever generation ended. */
function isMeant(parent: Parent | undefined, { key, generation }: ParentsCancel): boolean {
  if (parent === undefined || parent.key !== key) return false;
  return parent.generation === undefined || generation === undefined || parent.generation <= generation;
}

/** How many calls that removed a group are known, in all generations after it. */
const KNOWN_REMOVALS = 8;

/**
 * Removes a group: an open one is cancelled first. It is hidden at once. Its pending deliveries are kept until they are
 * settled, and its marks for a minute, so that late copies of its calls change nothing.
 */
export function remove(store: Store, input: { op: string }): { found: boolean } {
  const group = openAny(store);
  if (group === undefined) return { found: false };
  const { head } = group;
  const registration = readRegistration(store);
  // A copy of the call may come after the next registration, which it does not remove.
  if (registration.removals?.includes(input.op) === true) return { found: true };
  if (head.removedAtMs !== undefined) return { found: false };
  const removals = [...(registration.removals ?? []), input.op];
  if (removals.length > KNOWN_REMOVALS) removals.shift();
  store.set("reg", encode({ ...registration, removals }));
  head.removedAtMs = store.nowMs;
  if (isOpen(head) && head.request === true && hasNoOpenTask(head)) {
    // Callers that wait may still read that all was done.
    head.completionReason = "all_completed";
    end(group, "completed", "remove");
  } else if (isOpen(head)) {
    head.reason = "removed";
    end(group, "cancelled", "remove");
  }
  save(group);
  store.notify();
  return { found: true };
}

export interface AbandonInput {
  op: string;
  /** The `op` of the caller's registration. */
  caller: string;
  reason: string;
}

/**
 * The result of `abandon`. `cancelled`: the last caller failed. `joined`: another caller still works on the request, or
 * this one is not known. `late`: the request is sealed or has ended, and goes on.
 */
export interface AbandonOutput {
  outcome: "cancelled" | "joined" | "late" | "unknown";
  view?: GroupView;
}

/** Removes a caller that failed. A request whose last caller failed is cancelled; a sealed one goes on. */
export function abandon(store: Store, input: AbandonInput): AbandonOutput {
  const group = openGroup(store);
  if (group === undefined) return { outcome: "unknown" };
  const { head } = group;
  const before = recallOp(store, input.op);
  if (before !== undefined) return { outcome: before as AbandonOutput["outcome"], view: viewOf(store, head) };
  const callers = head.callers ?? [];
  if (!isOpen(head) || isSealed(head)) return { outcome: "late", view: viewOf(store, head) };
  if (!callers.includes(input.caller)) return { outcome: "joined", view: viewOf(store, head) };
  head.callers = callers.filter((caller) => caller !== input.caller);
  const outcome = head.callers.length > 0 ? "joined" : "cancelled";
  rememberOp(store, operationsOf(head), input.op, outcome);
  if (outcome === "cancelled") {
    head.reason = input.reason;
    end(group, "cancelled", "abandon");
  }
  save(group);
  return { outcome, view: viewOf(store, head) };
}
