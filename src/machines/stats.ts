import { decode, encode, formatInteger } from "../platform.js";
import type { Store } from "../store.js";
import { type RememberedOp, recall, remember } from "./op-memory.js";

/**
 * Counts of many ids, each merged from many sides and taken once. One record holds a namespace, or a shard of it, so
 * that a limit on the number of ids is exact.
 *
 * Members: `s:ID` an id's counts; `p:ID` and `n:ID` the ids that were first merged before and after it; `c:OP` what a
 * consumption took, `d:N` the ring of those.
 */
interface StatsHead {
  /** How many ids are tracked, and the first and the last of them; "" for none. */
  tracked: number;
  oldest: string;
  newest: string;
  /** How many were consumed so far. */
  consumed: number;
  /** When the record expires: later than any of its ids. */
  untilMs: number;
}

export interface Counts {
  processed: number;
  requeueCount: number;
  errorCount: number;
}

interface Entry extends Counts {
  untilMs: number;
  ops: RememberedOp[];
}

/** How many merges of one id, and how many consumptions of a record, are known again when they come twice. */
const REMEMBERED_MERGES = 128;
const REMEMBERED_TAKES = 256;
/** How many ids one merge drops at most: it adds one, so this keeps up. */
const DROPS_PER_MERGE = 8;
const MAX_COUNT = 1_000_000_000_000;

const entryName = (id: string): string => `s:${id}`;
const previousName = (id: string): string => `p:${id}`;
const nextName = (id: string): string => `n:${id}`;

function open(store: Store): StatsHead {
  return store.head<StatsHead>() ?? { tracked: 0, oldest: "", newest: "", consumed: 0, untilMs: 0 };
}

function read(store: Store, id: string): Entry | undefined {
  const text = store.get(entryName(id));
  return text === undefined ? undefined : decode<Entry>(text);
}

function link(store: Store, from: string, to: string): void {
  if (from !== "") store.set(nextName(from), to);
  if (to !== "") store.set(previousName(to), from);
}

function drop(store: Store, head: StatsHead, id: string): void {
  const before = store.get(previousName(id)) ?? "";
  const after = store.get(nextName(id)) ?? "";
  link(store, before, after);
  if (head.oldest === id) head.oldest = after;
  if (head.newest === id) head.newest = before;
  store.remove(entryName(id));
  store.remove(previousName(id));
  store.remove(nextName(id));
  head.tracked -= 1;
}

/** Drops the ids that came first, while they are past their time, or too many are tracked. */
function makeRoom(store: Store, head: StatsHead, room: number): void {
  for (let i = 0; i < DROPS_PER_MERGE && head.oldest !== ""; i++) {
    const oldest = read(store, head.oldest);
    const isOver = oldest === undefined || oldest.untilMs <= store.nowMs;
    if (!isOver && head.tracked <= room) return;
    drop(store, head, head.oldest);
  }
}

function append(store: Store, head: StatsHead, id: string): void {
  link(store, head.newest, id);
  store.set(nextName(id), "");
  if (head.newest === "") store.set(previousName(id), "");
  if (head.oldest === "") head.oldest = id;
  head.newest = id;
  head.tracked += 1;
}

/** Keeps the record for longer than any of its ids; put off at most every quarter of their time. */
function save(store: Store, head: StatsHead, ttlMs: number): void {
  if (head.untilMs < store.nowMs + ttlMs) {
    head.untilMs = store.nowMs + ttlMs + Math.ceil(ttlMs / 4);
    store.keepUntil(head.untilMs);
  }
  store.put(head);
}

function merge(
  store: Store,
  input: Counts & { op: string; id: string; maxTracked: number; ttlMs: number },
): { merged: boolean } {
  const head = open(store);
  let entry = read(store, input.id);
  if (entry !== undefined && entry.untilMs <= store.nowMs) {
    drop(store, head, input.id);
    entry = undefined;
  }
  if (entry !== undefined && recall(entry.ops, input.op) !== undefined) return { merged: true };
  const isNew = entry === undefined;
  const sum: Entry = entry ?? { processed: 0, requeueCount: 0, errorCount: 0, untilMs: 0, ops: [] };
  sum.processed += input.processed;
  sum.requeueCount += input.requeueCount;
  sum.errorCount += input.errorCount;
  if (sum.processed > MAX_COUNT || sum.requeueCount > MAX_COUNT || sum.errorCount > MAX_COUNT) return { merged: false };
  sum.untilMs = store.nowMs + input.ttlMs;
  remember(sum.ops, { op: input.op, result: "" }, REMEMBERED_MERGES);
  if (isNew) {
    makeRoom(store, head, input.maxTracked - 1);
    append(store, head, input.id);
  }
  store.set(entryName(input.id), encode(sum));
  save(store, head, input.ttlMs);
  return { merged: true };
}

/** Takes an id's counts: they are handed out once, and again to a copy of the same call. */
function consume(store: Store, input: { op: string; id: string }): { counts?: Counts } {
  const taken = store.get(`c:${input.op}`);
  if (taken !== undefined) return { counts: decode<Counts>(taken) };
  const entry = read(store, input.id);
  if (entry === undefined || entry.untilMs <= store.nowMs) return {};
  const head = open(store);
  const counts: Counts = {
    processed: entry.processed,
    requeueCount: entry.requeueCount,
    errorCount: entry.errorCount,
  };
  drop(store, head, input.id);
  const slot = `d:${formatInteger(head.consumed % REMEMBERED_TAKES)}`;
  const forgotten = store.get(slot);
  if (forgotten !== undefined) store.remove(`c:${forgotten}`);
  store.set(slot, input.op);
  store.set(`c:${input.op}`, encode(counts));
  head.consumed += 1;
  store.put(head);
  return { counts };
}

export const stats = { merge, consume };
