import { formatInteger } from "../host.js";
import { type OpRing, recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";

/** One task of an ack. */
export interface TaskAck {
  id: string;
  /** JSON text. */
  result?: string;
  error?: string;
}

/** The result of an ack. The tracker's `AckResult` explains each value. */
export type Verdict = "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";

/** The name of the n-th member of a list. */
export const numbered = (list: string, n: number): string => `${list}:${formatInteger(n)}`;

/**
 * Which tasks of a group have counted.
 *
 * A task with a name, listed or not, is a member of its own, `t:TASK`: "" while it is open, then the call that counted
 * it. Numbered tasks share members: `b:N` holds one character for each of 256 tasks. A million tasks take a million
 * bytes.
 */

/** The fields of a group's head that the task set reads. */
export interface Marked {
  /** The registration listed the tasks. No other task counts. */
  named: boolean;
  /** Present when the tasks are the numbers from 0 to `total` - 1. Remembers the calls of the last minute. */
  ring?: OpRing;
  total: number;
}

/** `mine`: this call counted the task, and its reply was lost. */
export type Mark = "open" | "mine" | "counted";

/** How many numbered tasks a group may have. */
export const MAX_INDEXED = 1_000_000;
const A_MEMBER = 256;
/** How many calls the ring remembers. A retry after more calls gets `duplicate` for its own tasks; they still count once. */
const MAX_CALLS = 1_000;
const OPEN = ".";
const COUNTED = "x";

const memberName = (index: number): string => `b:${formatInteger(Math.floor(index / A_MEMBER))}`;

/** Returns the task's number, or -1 when the id is not one of the group's numbers. */
function indexOf(head: Marked, id: string): number {
  const index = Number(id);
  const isWhole = index >= 0 && index < head.total && Math.floor(index) === index;
  // Only the decimal form is accepted: not `01`, not `1e3`.
  return isWhole && formatInteger(index) === id ? index : -1;
}

/** Reads all members that `markOf` needs in one call. */
export function loadMarks(store: Store, head: Marked | undefined, tasks: readonly { id: string }[]): void {
  const names: string[] = [];
  for (const { id } of tasks) {
    if (head?.ring === undefined) names.push(taskName(id));
    else {
      const index = indexOf(head, id);
      if (index >= 0) names.push(memberName(index));
    }
  }
  store.load(names);
}

/** Returns the members that `loadMarks` may read for these tasks, whether they are named or numbered. */
export function expectedMarks(tasks: readonly { id: string }[]): string[] {
  const names: string[] = [];
  const listed: Record<string, boolean | undefined> = {};
  for (const { id } of tasks) {
    names.push(taskName(id));
    const index = Number(id);
    if (!(index >= 0 && index < MAX_INDEXED)) continue;
    const name = memberName(index);
    if (listed[name] === undefined) names.push(name);
    listed[name] = true;
  }
  return names;
}

/** Returns `undefined` for a task that the group does not have. */
export function markOf(store: Store, head: Marked, id: string, op: string): Mark | undefined {
  if (head.ring !== undefined) {
    const index = indexOf(head, id);
    if (index < 0) return undefined;
    const text = store.get(memberName(index));
    const at = index % A_MEMBER;
    if (text === undefined || text.substring(at, at + 1) === OPEN) return "open";
    const others = recallOp(store, op);
    return others === undefined || others.includes(listed(id)) ? "counted" : "mine";
  }
  const mark = store.get(taskName(id));
  if (mark === undefined) return head.named ? undefined : "open";
  if (mark === "") return "open";
  return mark === countedBy(op) ? "mine" : "counted";
}

/** Marks an open task as counted. */
export function setMark(store: Store, head: Marked, id: string, op: string): void {
  if (head.ring === undefined) {
    store.set(taskName(id), countedBy(op));
    return;
  }
  const index = indexOf(head, id);
  const name = memberName(index);
  const text = store.get(name) ?? OPEN.repeat(A_MEMBER);
  const at = index % A_MEMBER;
  store.set(name, `${text.substring(0, at)}${COUNTED}${text.substring(at + 1)}`);
}

/**
 * Remembers this call, so that its retry gets the same verdicts: the task set has no room for the id of the call.
 * `others` are the tasks of this call that it did not count.
 */
export function rememberCall(store: Store, head: Marked, op: string, others: readonly string[]): void {
  if (head.ring === undefined) return;
  let list = "";
  for (const id of others) list += listed(id);
  rememberOp(store, head.ring, op, list, { most: MAX_CALLS });
}

const listed = (id: string): string => `,${id},`;

export const taskName = (id: string): string => `t:${id}`;

/** Never "", even if the call's id is "". */
const countedBy = (op: string): string => `.${op}`;
