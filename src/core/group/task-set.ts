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

/** What became of an ack; `AckResult` of the tracker tells them apart. */
export type Verdict = "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";

/** The name of the n-th member of a list. */
export const numbered = (list: string, n: number): string => `${list}:${formatInteger(n)}`;

/**
 * Which tasks of a group have counted. A task that has a name, listed or not, is a member of its own, `t:TASK`: "" while it
 * is open, then the call that counted it. Tasks that are numbers share members, `b:N` for 256 of them, with a letter each: a
 * million tasks are a million bytes.
 */

/** What the marks need of a group's head. */
export interface Marked {
  /** The tasks were listed: no other counts. */
  named: boolean;
  /** The tasks are the numbers from 0 to `total` - 1; the calls of the last minute stand in `ring`. */
  ring?: OpRing;
  total: number;
}

/** `mine`: this very call has counted it, and its reply was lost. */
export type Mark = "open" | "mine" | "counted";

/** The most tasks that are told apart by number. */
export const MAX_INDEXED = 1_000_000;
const A_MEMBER = 256;
/** A retry that comes after more others is told that its tasks had counted. They count once all the same. */
const MAX_CALLS = 1_000;
const OPEN = ".";
const COUNTED = "x";

const memberName = (index: number): string => `b:${formatInteger(Math.floor(index / A_MEMBER))}`;

/** The number that an id is; -1 when it is none of the group's. */
function indexOf(head: Marked, id: string): number {
  const index = Number(id);
  const isWhole = index >= 0 && index < head.total && Math.floor(index) === index;
  // Written as numbers are: neither `01` nor `1e3`.
  return isWhole && formatInteger(index) === id ? index : -1;
}

/** Reads what `markOf` will look at, in one go. */
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

/** What `loadMarks` will read of these tasks, whichever way the group tells them apart. */
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

/** `undefined` for a task that is none of the group's. */
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

/** Marks a task that is open. */
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
 * Keeps what its retry is told: a letter has no room for the call that set it. `others`: the tasks of this call that it did not
 * count.
 */
export function rememberCall(store: Store, head: Marked, op: string, others: readonly string[]): void {
  if (head.ring === undefined) return;
  let list = "";
  for (const id of others) list += listed(id);
  rememberOp(store, head.ring, op, list, { most: MAX_CALLS });
}

const listed = (id: string): string => `,${id},`;

export const taskName = (id: string): string => `t:${id}`;

/** Never "", whatever the call's id. */
const countedBy = (op: string): string => `.${op}`;
