import { byteLength, decode, formatInteger } from "../host.js";
import { MAX_PAGE_BYTES } from "../limits.js";
import type { Store } from "../store.js";
import { follow, type Group, openAny, openGroup, REMOVED_MS, recheckInMs } from "./group.js";
import { isOther } from "./growth.js";
import { indexedName, readIndexed } from "./indexed.js";
import { type GroupHead, hasNoOpenTask, isOpen, LIST_SIZE, numbered, type TaskRef } from "./record.js";
import { type Mark, markName, readMark } from "./task-set.js";
import { type GroupView, type StoredError, viewOf } from "./view.js";

/** Reads a group: its status, its end, its progress, its tasks and its results. */

/** How soon progress is looked for again. The end alone is notified. */
const PROGRESS_MS = 1_000;
/** How many lists of ids a page reads at a time. */
const LISTS_PER_READ = 8;

export function status(store: Store, _input: object): { view?: GroupView } {
  const group = openGroup(store);
  return group === undefined ? {} : { view: viewOf(store, group.head) };
}

/** The output for a waiter. `version` orders the looks at one record. */
export interface Look {
  ready: boolean;
  version: number;
  /** It may become ready in so many milliseconds without a write. */
  recheckInMs?: number;
  view?: GroupView;
}

export interface WaitInput {
  /** Wait for the end of this generation alone. */
  generation?: number;
  /** An unknown record is ready at once, without a view. Else it may yet be registered. */
  isKnown?: boolean;
  /** The waiter does not keep the group alive. */
  background?: boolean;
}

/**
 * Ready once the group has ended, or the request has no open task. A removed group shows how it ended for a minute, to
 * those who were waiting.
 */
export function wait(store: Store, input: WaitInput): Look {
  const group = openForWaiters(store);
  if (group === undefined) {
    // Generations begin at the server's time: whatever is registered from now on is not older.
    return { ready: input.isKnown === true || input.generation !== undefined, version: store.nowMs };
  }
  const { head } = group;
  const version = head.generation;
  if (input.generation !== undefined && input.generation !== version) return { ready: true, version };
  if (isReady(head)) return { ready: true, version, view: viewOf(store, head) };
  if (input.background !== true) follow(group);
  return { ready: false, version, recheckInMs: recheckInMs(group, input.background !== true) };
}

/** As `openGroup`, and a removed group for a minute: later its outbox alone may be left. */
function openForWaiters(store: Store): Group | undefined {
  const group = openAny(store);
  const removedAtMs = group === undefined ? undefined : group.head.removedAtMs;
  return removedAtMs !== undefined && removedAtMs + REMOVED_MS <= store.nowMs ? undefined : group;
}

const isReady = (head: GroupHead): boolean => !isOpen(head) || (head.request === true && hasNoOpenTask(head));

export interface ProgressInput {
  /** The version that was seen last: `generation.changes`; "" for none. */
  after: string;
  isKnown?: boolean;
}

/** Ready once the version differs from `after`, and when a group that was seen is gone. */
export function progress(store: Store, input: ProgressInput): Look {
  const group = openForWaiters(store);
  if (group === undefined)
    return { ready: input.isKnown === true || input.after !== "", version: store.nowMs, recheckInMs: PROGRESS_MS };
  const { head } = group;
  const version = head.generation;
  // No change follows the end: a caller that has seen it gets it again.
  if (!isOpen(head) || versionOf(head) !== input.after) return { ready: true, version, view: viewOf(store, head) };
  follow(group);
  const inMs = recheckInMs(group, true);
  return { ready: false, version, recheckInMs: inMs < PROGRESS_MS ? inMs : PROGRESS_MS };
}

export const versionOf = (head: { generation: number; changes: number }): string =>
  `${formatInteger(head.generation)}.${formatInteger(head.changes)}`;

export interface TaskLine extends TaskRef {
  state: "open" | "succeeded" | "failed";
  error?: string;
}

export interface TasksInput {
  state?: TaskLine["state"];
  /** The position to go on after: 0 to begin. */
  after: number;
  /** How many tasks to look at: a page may hold fewer, or none. */
  limit: number;
  /** How many bytes the page takes at most. Default and maximum: `MAX_PAGE_BYTES`. */
  bytes?: number;
  /** Read this generation alone. */
  generation?: number;
}

export interface TasksOutput {
  found: boolean;
  items: TaskLine[];
  next?: number;
  /** Tasks without ids are only counted. */
  refused?: "counted";
}

/** Lists tasks in the order of their registration. */
export function tasks(store: Store, input: TasksInput): TasksOutput {
  const group = openGroup(store);
  if (group === undefined || isOther(group, input.generation)) return { found: false, items: [] };
  if (group.head.kind === "counted") return { found: true, items: [], refused: "counted" };
  const page = readPage(group, input.after, input.limit);
  const chosen: Entry[] = [];
  for (const entry of page.entries) {
    if (input.state === undefined || stateOf(entry.mark) === input.state) chosen.push(entry);
  }
  const numbers = chosen.map(({ mark }) => (mark.state === "failed" ? mark.number : 0));
  store.load(numbers.filter((number) => number > 0).map((number) => numbered("e", number)));
  const items: TaskLine[] = [];
  let bytes = 0;
  for (const { task, mark, position } of chosen) {
    const line: TaskLine = { ...task, state: stateOf(mark) };
    const text = line.state === "failed" && mark.number > 0 ? store.get(numbered("e", mark.number)) : undefined;
    if (text !== undefined) line.error = decode<StoredError>(text).message;
    bytes += LINE_BYTES + byteLength(task.id) + byteLength(line.error ?? "");
    if (bytes > pageBytes(input.bytes) && items.length > 0) return { found: true, items, next: position };
    items.push(line);
  }
  return page.next === undefined ? { found: true, items } : { found: true, items, next: page.next };
}

const stateOf = ({ state }: Mark): TaskLine["state"] => (state === "succeeded" || state === "failed" ? state : "open");

/** The size of a line of a page, without its id and its error: field names, stage and state. */
const LINE_BYTES = 128;

const pageBytes = (bytes: number | undefined): number =>
  bytes !== undefined && bytes < MAX_PAGE_BYTES ? bytes : MAX_PAGE_BYTES;

export interface ResultsInput {
  /** @default "acks" */
  order?: "registration" | "acks";
  after: number;
  limit: number;
  /** How many bytes the page takes at most. Default and maximum: `MAX_PAGE_BYTES`. */
  bytes?: number;
  /** Read this generation alone. */
  generation?: number;
}

export interface ResultLine extends TaskRef {
  /** JSON text. */
  result: string;
}

export interface ResultsOutput {
  found: boolean;
  items: ResultLine[];
  next?: number;
  refused?: "counted";
}

/** Lists results in the order of the registration or of the acks. A page ends at 1 MB. */
export function results(store: Store, input: ResultsInput): ResultsOutput {
  const group = openGroup(store);
  if (group === undefined || isOther(group, input.generation)) return { found: false, items: [] };
  const { head } = group;
  if (input.order === "registration" && head.kind !== "named") return { found: true, items: [], refused: "counted" };
  const names: string[] = [];
  const positions: number[] = [];
  let end: number | undefined;
  if (input.order !== "registration") {
    const last = Math.min(input.after + input.limit, head.results);
    for (let n = input.after + 1; n <= last; n++) {
      names.push(numbered("r", n));
      positions.push(n - 1);
    }
    if (last < head.results) end = last;
  } else {
    const page = readPage(group, input.after, input.limit);
    for (const { mark, position } of page.entries) {
      if (mark.state !== "succeeded" || mark.number === 0) continue;
      names.push(numbered("r", mark.number));
      positions.push(position);
    }
    end = page.next;
  }
  return cutPage(store, { names, positions, end, most: pageBytes(input.bytes) });
}

/** Reads results until the page is full. `positions` says where to go on before each of them. */
function cutPage(
  store: Store,
  { names, positions, end, most }: { names: string[]; positions: number[]; end: number | undefined; most: number },
): ResultsOutput {
  const items: ResultLine[] = [];
  let bytes = 0;
  for (let i = 0; i < names.length; i++) {
    if (i % RESULTS_PER_READ === 0) store.load(names.slice(i, i + RESULTS_PER_READ));
    const text = store.get(names[i]!);
    if (text === undefined) continue;
    bytes += byteLength(text);
    if (bytes > most && items.length > 0) return { found: true, items, next: positions[i]! };
    const { taskId, stage, result } = decode<{ taskId: string; stage?: string; result: string }>(text);
    items.push(stage === undefined ? { id: taskId, result } : { stage, id: taskId, result });
  }
  return end === undefined ? { found: true, items } : { found: true, items, next: end };
}

const RESULTS_PER_READ = 64;

interface Entry {
  task: TaskRef;
  mark: Mark;
  /** The position before it: what to give as `after` for a page that begins with it. */
  position: number;
}

/** The tasks after a position, in the order of registration, with their marks. */
function readPage(group: Group, after: number, limit: number): { entries: Entry[]; next?: number } {
  const { store, head } = group;
  return head.kind === "indexed"
    ? readIndexedPage(store, head, after, limit)
    : readNamedPage(store, head, after, limit);
}

function readIndexedPage(
  store: Store,
  head: GroupHead,
  after: number,
  limit: number,
): { entries: Entry[]; next?: number } {
  const last = Math.min(after + limit, head.total);
  const names: string[] = [];
  for (let index = after; index < last; index++) {
    const name = indexedName(index);
    if (names[names.length - 1] !== name) names.push(name);
  }
  store.load(names);
  const entries: Entry[] = [];
  for (let index = after; index < last; index++) {
    entries.push({ task: { id: formatInteger(index) }, mark: readIndexed(store, head, index), position: index });
  }
  return last < head.total ? { entries, next: last } : { entries };
}

/** A position counts 64 for each list before it. */
function readNamedPage(
  store: Store,
  head: GroupHead,
  after: number,
  limit: number,
): { entries: Entry[]; next?: number } {
  const found: { task: TaskRef; position: number }[] = [];
  const names: string[] = [];
  let next: number | undefined;
  let at = after;
  for (let list = Math.floor(after / LIST_SIZE) + 1; list <= head.lists && next === undefined; list++) {
    loadLists(store, list, head.lists, after);
    const ids = decode<string[]>(store.get(numbered("o", list))!);
    const begin = (list - 1) * LIST_SIZE;
    for (let i = Math.max(0, at - begin) + 1; i < ids.length && next === undefined; i++) {
      if (found.length >= limit) next = begin + i - 1;
      else {
        const task: TaskRef = ids[0] === "" ? { id: ids[i]! } : { stage: ids[0]!, id: ids[i]! };
        found.push({ task, position: begin + i - 1 });
        names.push(markName(task));
      }
    }
    at = begin + LIST_SIZE;
  }
  store.load(names);
  const entries: Entry[] = [];
  for (let i = 0; i < found.length; i++) {
    entries.push({ task: found[i]!.task, position: found[i]!.position, mark: readMark(store, head, names[i]!) });
  }
  return next === undefined ? { entries } : { entries, next };
}

/** Reads a few lists at a time: with one id each, as single calls of `add` leave them, one by one would be slow. */
function loadLists(store: Store, list: number, last: number, after: number): void {
  if ((list - 1 - Math.floor(after / LIST_SIZE)) % LISTS_PER_READ !== 0) return;
  const names: string[] = [];
  for (let n = list; n <= last && n < list + LISTS_PER_READ; n++) names.push(numbered("o", n));
  store.load(names);
}
