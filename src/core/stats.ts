import { decode, encode } from "./host.js";
import { emptyRing, type OpRing, recallOp, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/**
 * Counts of many ids. Many callers merge counts into an id; one call consumes them. One record holds a namespace, or a
 * shard of it. So the limit on the number of ids is exact.
 *
 * Members: `s:ID` holds an id's counts. `p:ID` and `n:ID` link the ids in the order of their last merge. The ring of
 * recent operations keeps what each `consume` returned.
 */
interface StatsHead {
  /**
   * `tracked`: how many ids are tracked. `oldest` and `newest`: the ids with the oldest and the newest merge; "" for
   * none.
   */
  tracked: number;
  oldest: string;
  newest: string;
  ring: OpRing;
  /** When the record expires: later than all of its ids. */
  untilMs: number;
}

export interface Counts {
  processed: number;
  requeueCount: number;
  errorCount: number;
}

interface Entry extends Counts {
  untilMs: number;
}

/** How many ids one merge drops at most. A merge adds one id, so this keeps up. */
const DROPS_PER_MERGE = 8;
const MAX_COUNT = 1_000_000_000_000;

const entryName = (id: string): string => `s:${id}`;
const previousName = (id: string): string => `p:${id}`;
const nextName = (id: string): string => `n:${id}`;

function open(store: Store): StatsHead {
  return store.head<StatsHead>() ?? { tracked: 0, oldest: "", newest: "", ring: emptyRing(), untilMs: 0 };
}

function read(store: Store, id: string): Entry | undefined {
  const text = store.get(entryName(id));
  return text === undefined ? undefined : decode<Entry>(text);
}

function link(store: Store, from: string, to: string): void {
  if (from !== "") store.set(nextName(from), to);
  if (to !== "") store.set(previousName(to), from);
}

function unlink(store: Store, head: StatsHead, id: string): void {
  const before = store.get(previousName(id)) ?? "";
  const after = store.get(nextName(id)) ?? "";
  link(store, before, after);
  if (head.oldest === id) head.oldest = after;
  if (head.newest === id) head.newest = before;
  head.tracked -= 1;
}

function drop(store: Store, head: StatsHead, id: string): void {
  unlink(store, head, id);
  store.remove(entryName(id));
  store.remove(previousName(id));
  store.remove(nextName(id));
}

/** Drops the ids with the oldest merge while they are expired or more than `room` are tracked. */
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

/** Keeps the record longer than all of its ids. Moves the expiry at most once a quarter of the TTL. */
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
  if (recallOp(store, input.op) !== undefined) return { merged: true };
  const head = open(store);
  const entry = read(store, input.id);
  const isAlive = entry !== undefined && entry.untilMs > store.nowMs;
  const sum: Entry = isAlive ? entry : { processed: 0, requeueCount: 0, errorCount: 0, untilMs: 0 };
  sum.processed += input.processed;
  sum.requeueCount += input.requeueCount;
  sum.errorCount += input.errorCount;
  if (sum.processed > MAX_COUNT || sum.requeueCount > MAX_COUNT || sum.errorCount > MAX_COUNT) return { merged: false };
  sum.untilMs = store.nowMs + input.ttlMs;
  if (entry !== undefined) unlink(store, head, input.id);
  makeRoom(store, head, input.maxTracked - 1);
  append(store, head, input.id);
  rememberOp(store, head.ring, input.op, "");
  store.set(entryName(input.id), encode(sum));
  save(store, head, input.ttlMs);
  return { merged: true };
}

/** Returns an id's counts and removes them. A repeated call gets the same counts again. */
function consume(store: Store, input: { op: string; id: string }): { counts?: Counts } {
  const taken = recallOp(store, input.op);
  if (taken !== undefined && taken !== "") return { counts: decode<Counts>(taken) };
  const entry = read(store, input.id);
  if (entry === undefined || entry.untilMs <= store.nowMs) return {};
  const head = open(store);
  const counts: Counts = {
    processed: entry.processed,
    requeueCount: entry.requeueCount,
    errorCount: entry.errorCount,
  };
  drop(store, head, input.id);
  rememberOp(store, head.ring, input.op, encode(counts));
  store.put(head);
  return { counts };
}

export const stats = { merge, consume };
