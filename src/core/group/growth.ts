import { decode, encode } from "../host.js";
import { recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import { count } from "./counting.js";
import { takeEarly } from "./early-acks.js";
import { applyPolicy, type Group, openGroup, save, touch } from "./group.js";
import { chainOf, childrenName, isOpen, isSealed, MAX_TASKS, numbered } from "./record.js";
import { countsOf } from "./stages.js";
import { markName, markPrefix, openMarkText, operationsOf, readMark } from "./task-set.js";
import { type GroupView, viewOf } from "./view.js";

/** Announces tasks: at the registration, by `add`, and by the `next` of an ack. */

/** Tasks to announce, with the child groups that end with their group. */
export interface Announcement {
  /** JSON texts of lists of up to 64 ids, each after the name of its stage, "" for none: stored as they are. */
  lists: string[];
  children?: Child[];
}

/** A child group that is declared with its task. */
export interface Child {
  stage?: string;
  id: string;
  /** The machine of the child. */
  machine: "completion" | "request";
  groupId: string;
}

/** How many children one list holds at most. A child's position counts so many for each list before its own. */
export const CHILDREN_PER_LIST = 1_024;

/** Why tasks were not announced: nothing of the call was written. */
export type GrowthRefusal = "tasks" | "stages" | "closed";

/** The effect of an announcement, a letter for each task: `n` new, `e` new and acked before, `d` there already. */
export type Announced = { letters: string } | { refused: GrowthRefusal };

/**
 * Announces tasks, and counts the early acks among them in the order of the announcement, with the tasks that these hand on
 * to. Returns letters for the tasks of `first` alone.
 */
export function announce(group: Group, first: Announcement): Announced {
  const queue: Announcement[] = [first];
  let letters = "";
  for (let i = 0; i < queue.length; i++) {
    const announced = announceOne(group, queue[i]!, queue);
    if (announced === undefined) return { refused: "stages" };
    if (i === 0) letters = announced;
    // Tasks that are numbered or only counted take no members.
    if (group.head.kind === "named" && group.head.total > MAX_TASKS) return { refused: "tasks" };
  }
  return { letters };
}

function announceOne(group: Group, announcement: Announcement, queue: Announcement[]): string | undefined {
  const { store, head } = group;
  const lists: string[][] = [];
  const names: string[] = [];
  for (const text of announcement.lists) {
    const list = decode<string[]>(text);
    lists.push(list);
    const prefix = markPrefix(list[0]!);
    for (let i = 1; i < list.length; i++) names.push(`${prefix}${list[i]!}`);
  }
  store.load(names);
  /** The members of the tasks that are new, for the children that come with them. */
  const fresh: Record<string, boolean | undefined> = {};
  // Joined once: a text that grows by a letter is copied each time, which Redis would feel with 100,000 tasks.
  const letters: string[] = [];
  for (let n = 0; n < lists.length; n++) {
    const list = lists[n]!;
    const added = [list[0]!];
    const task = { name: "", stage: list[0]! };
    for (let i = 1; i < list.length; i++) {
      task.name = names[letters.length]!;
      const letter = announceTask(group, task, queue);
      if (letter === undefined) return undefined;
      letters.push(letter);
      if (letter === DUPLICATE) continue;
      added.push(list[i]!);
      if (announcement.children !== undefined) fresh[task.name] = true;
    }
    if (added.length === 1) continue;
    head.lists += 1;
    store.set(numbered("o", head.lists), added.length === list.length ? announcement.lists[n]! : encode(added));
  }
  keepChildren(group, announcement.children ?? [], fresh);
  return letters.join("");
}

const NEW = "n";
const SETTLED = "e";
const DUPLICATE = "d";

/** Announces the task of a mark, in a stage or in none; `undefined` when its stage has no room. */
function announceTask(
  group: Group,
  { name, stage }: { name: string; stage: string },
  queue: Announcement[],
): string | undefined {
  const { store, head } = group;
  const mark = readMark(store, head, name);
  if (mark.state !== "absent" && mark.state !== "early") return DUPLICATE;
  head.total += 1;
  if (stage !== "") {
    const counts = countsOf(store, group.stages, stage);
    if (counts === undefined) return undefined;
    counts.total += 1;
    head.staged = true;
  }
  // The operation of an earlier use of the id stays known: a late copy of that call counts nothing here.
  store.set(name, openMarkText(head.epoch, mark.state === "absent" ? mark.op : ""));
  const early =
    mark.state === "early" && head.early !== undefined ? takeEarly(store, head.early, mark.number) : undefined;
  if (early === undefined) return NEW;
  if (isOpen(head)) {
    count(group, early, early.op);
    // Nothing is there where the call that brought the early ack has announced its `next` itself.
    const next = early.next === undefined ? undefined : store.get(early.next);
    if (next !== undefined) queue.push(decode<Announcement>(next));
  }
  return SETTLED;
}

function keepChildren(
  { store, head }: Group,
  children: readonly Child[],
  fresh: Record<string, boolean | undefined>,
): void {
  const kept: Child[] = [];
  for (const child of children) {
    if (fresh[markName(child)] === true) kept.push(child);
  }
  // The end must cancel them, even if no call reads the group any more.
  if (kept.length > 0) head.isTimed = true;
  for (let from = 0; from < kept.length; from += CHILDREN_PER_LIST) {
    head.children = (head.children ?? 0) + 1;
    store.set(childrenName(chainOf(head), head.children), encode(kept.slice(from, from + CHILDREN_PER_LIST)));
  }
}

export interface AddInput extends Announcement {
  op: string;
  generation?: number;
}

/**
 * The result of `add`. `late`: the group has ended. `unknown`: there is no such group, or no such generation. `refused`: a
 * limit was reached, or the group was registered closed.
 */
export interface AddOutput {
  outcome: "added" | "sealed" | "late" | "unknown";
  letters?: string;
  refused?: GrowthRefusal;
  view?: GroupView;
}

export function add(store: Store, input: AddInput): AddOutput {
  const group = openGroup(store);
  if (group === undefined || isOther(group, input.generation)) return { outcome: "unknown" };
  const { head } = group;
  const before = recallOp(store, input.op);
  if (before !== undefined) return { outcome: "added", letters: before, view: viewOf(store, head) };
  if (head.grows !== true) return { outcome: "unknown", refused: "closed" };
  if (!isOpen(head)) return { outcome: "late", view: viewOf(store, head) };
  if (isSealed(head)) return { outcome: "sealed", view: viewOf(store, head) };
  const announced = announce(group, input);
  if ("refused" in announced) {
    store.discard();
    return { outcome: "unknown", refused: announced.refused };
  }
  rememberOp(store, operationsOf(head), input.op, announced.letters);
  applyPolicy(group, true, "add");
  touch(group);
  save(group);
  return { outcome: "added", letters: announced.letters, view: viewOf(store, head) };
}

/** The result of `seal`: `sealed` by this call, or `already`. */
export interface SealOutput {
  outcome: "sealed" | "already" | "late" | "unknown";
  view?: GroupView;
}

/** No task can be added from now on, but those that the open ones hand on to. */
export function seal(store: Store, input: { op: string; generation?: number }): SealOutput {
  const group = openGroup(store);
  if (group === undefined || isOther(group, input.generation)) return { outcome: "unknown" };
  const { head } = group;
  if (recallOp(store, input.op) !== undefined) return { outcome: "sealed", view: viewOf(store, head) };
  if (isSealed(head)) return { outcome: "already", view: viewOf(store, head) };
  if (!isOpen(head)) return { outcome: "late", view: viewOf(store, head) };
  head.sealed = true;
  rememberOp(store, operationsOf(head), input.op, "");
  applyPolicy(group, true, "seal");
  touch(group);
  save(group);
  return { outcome: "sealed", view: viewOf(store, head) };
}

/** Returns whether the call names another generation than the current one. */
export const isOther = ({ head }: Group, generation: number | undefined): boolean =>
  generation !== undefined && generation !== head.generation;
