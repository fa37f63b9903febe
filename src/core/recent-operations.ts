import { decode, encode, formatInteger } from "./host.js";
import type { Store } from "./store.js";

/**
 * The answers of recent operations, stored as members of the record: `x:OP` holds the answer, `q:N` the call and its
 * time. A resent call, with the same op id, gets its first answer. Made for records that many callers write at once: a
 * client resends within seconds, however many other calls come between.
 */
export interface OpRing {
  first: number;
  last: number;
  /** When the first of them was remembered, or earlier: until it expires, no member is read. */
  oldestMs?: number;
}

/** How long answers are kept. Longer than a client resends a call (`RESEND_WINDOW_MS`). */
export const KEPT_MS = 60_000;
/** A limit for bursts. Beyond it the oldest operation is forgotten early. */
const MAX_KEPT = 10_000;
const DROPS_PER_CALL = 4;
/** How many operations are kept after the key that they wrote was removed. */
const MAX_RECENT = 1_000;

export const emptyRing = (): OpRing => ({ first: 1, last: 0 });

export const answerName = (op: string): string => `x:${op}`;
const slotName = (n: number): string => `q:${formatInteger(n)}`;

/**
 * Returns the answer that this call got before; `undefined` when the call is new. With `ring`, also loads the members
 * that `rememberOp` reads, in the same read.
 */
export function recallOp(store: Store, op: string, ring?: OpRing): string | undefined {
  if (ring !== undefined) {
    const names = [answerName(op)];
    for (let n = ring.first; n <= ring.last && n < ring.first + DROPS_PER_CALL; n++) names.push(slotName(n));
    store.load(names);
  }
  return store.get(answerName(op));
}

/** Replaces the answer of an operation that is remembered. */
export function amendOp(store: Store, op: string, answer: string): void {
  store.set(answerName(op), answer);
}

/** Returns the operations of the last minute, the oldest first: the latest 1,000 of them. */
export function recentOps(store: Store, ring: OpRing): { op: string; answer: string }[] {
  const slots: string[] = [];
  const first = ring.last - MAX_RECENT + 1;
  for (let i = first > ring.first ? first : ring.first; i <= ring.last; i++) slots.push(`q:${formatInteger(i)}`);
  store.load(slots);
  const ops: string[] = [];
  for (const slot of slots) {
    const text = store.get(slot);
    const kept = text === undefined ? undefined : decode<{ op: string; atMs: number }>(text);
    if (kept !== undefined && kept.atMs + KEPT_MS > store.nowMs) ops.push(kept.op);
  }
  store.load(ops.map((op) => `x:${op}`));
  return ops.map((op) => ({ op, answer: recallOp(store, op) ?? "" }));
}

/** How many calls are remembered at most, and for how long: at least a minute. */
export interface RingBounds {
  most?: number;
  keptMs?: number;
}

/** Remembers a call's answer. Removes some answers that are older than they are kept. */
export function rememberOp(store: Store, ring: OpRing, op: string, answer: string, bounds: RingBounds = {}): void {
  const { most = MAX_KEPT } = bounds;
  const keptMs = Math.max(bounds.keptMs ?? 0, KEPT_MS);
  // A full ring drops several at once, every few calls. On Redis each call that removes members costs one more command.
  const room = most - DROPS_PER_CALL;
  const isFull = ring.last - ring.first + 1 >= most;
  const isDue = isFull || ring.oldestMs === undefined || ring.oldestMs + keptMs <= store.nowMs;
  for (let i = 0; isDue && i < DROPS_PER_CALL && ring.first <= ring.last; i++) {
    const slot = slotName(ring.first);
    const text = store.get(slot);
    if (text !== undefined) {
      const kept = decode<{ op: string; atMs: number }>(text);
      const isSpare = isFull && ring.last - ring.first + 1 > room;
      if (!isSpare && kept.atMs + keptMs > store.nowMs) {
        ring.oldestMs = kept.atMs;
        break;
      }
      store.remove(answerName(kept.op));
      store.remove(slot);
    }
    ring.first += 1;
  }
  if (ring.first > ring.last) ring.oldestMs = store.nowMs;
  ring.last += 1;
  store.set(slotName(ring.last), encode({ op, atMs: store.nowMs }));
  store.set(answerName(op), answer);
}
