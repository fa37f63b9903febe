import { formatInteger } from "../host.js";
import { answerName } from "../recent-operations.js";
import type { Store } from "../store.js";
import { type GroupHead, MAX_INDEXED, numbered, type TaskRef } from "./record.js";
import { type Mark, markName } from "./task-set.js";

/** How the operations of indexed groups remember a task: their answers list the tasks that did not count. */
export const listed = (id: string): string => `,${id},`;
/** The answer of an operation lists the tasks that counted instead. */
export const ONLY = "+";

/**
 * Tasks that are the numbers from 0 to `total` - 1 share members, 256 to each, with a letter a task: a million tasks take a
 * million bytes. A letter has no room for an operation: the recent operations recognise a late copy of a call.
 */

const PER_MEMBER = 256;
const OPEN = ".";
const SUCCEEDED = "s";
/** The letter of a failure says in which epoch it was made. A failure of an earlier epoch is open again. */
const FAILED = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** How many epochs of an indexed group have letters of their own. */
export const MAX_INDEXED_EPOCHS = 36;

/** Returns the number in a task's id; -1 when it is not one of the group's. */
export function indexOf(head: GroupHead, task: TaskRef): number {
  if (task.stage !== undefined) return -1;
  const index = Number(task.id);
  const isWhole = index >= 0 && index < head.total && Math.floor(index) === index;
  // Only the canonical form: neither `01` nor `1e3`.
  return isWhole && formatInteger(index) === task.id ? index : -1;
}

export const indexedName = (index: number): string => numbered("b", Math.floor(index / PER_MEMBER));

export function readIndexed(store: Store, head: GroupHead, index: number): Mark {
  const mark: Mark = { state: "open", number: 0, op: "" };
  const text = store.get(indexedName(index));
  if (text === undefined) return mark;
  const at = index % PER_MEMBER;
  mark.state = stateOf(head, text.substring(at, at + 1));
  return mark;
}

export function writeIndexed(store: Store, head: GroupHead, index: number, state: Mark["state"]): void {
  const name = indexedName(index);
  const text = store.get(name) ?? OPEN.repeat(PER_MEMBER);
  const at = index % PER_MEMBER;
  store.set(name, `${text.substring(0, at)}${letterOf(head, state)}${text.substring(at + 1)}`);
}

function letterOf(head: GroupHead, state: Mark["state"]): string {
  if (state === "succeeded") return SUCCEEDED;
  return state === "failed" ? FAILED.substring(head.epoch, head.epoch + 1) : OPEN;
}

function stateOf(head: GroupHead, letter: string): Mark["state"] {
  if (letter === SUCCEEDED) return "succeeded";
  return letter !== OPEN && letter === letterOf(head, "failed") ? "failed" : "open";
}

/** Returns the members that an ack may read for these tasks, whether they are named or indexed. */
export function expectedMarks(tasks: readonly TaskRef[], op: string): string[] {
  const names: string[] = [];
  const listed: Record<string, boolean | undefined> = {};
  let isNumbered = false;
  for (const task of tasks) {
    names.push(markName(task));
    const index = Number(task.id);
    if (task.stage !== undefined || !(index >= 0 && index < MAX_INDEXED)) continue;
    const name = indexedName(index);
    if (listed[name] === undefined) names.push(name);
    listed[name] = true;
    isNumbered = true;
  }
  if (isNumbered) names.push(answerName(op));
  return names;
}
