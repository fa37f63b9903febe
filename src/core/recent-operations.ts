import { decode, encode, formatInteger } from "./host.js";
import type { Store } from "./store.js";

/**
 * What recent operations answered, as members of the record: `x:OP` the answer, `q:N` when and which. For operations that
 * many callers make at once. A client sends a call again within seconds, however many others come in between.
 */
export interface OpRing {
  first: number;
  last: number;
}

/** Longer than any call is sent again by itself (`RESEND_WINDOW_MS`). */
export const KEPT_MS = 60_000;
/** A bound for storms: the oldest operation is then forgotten before its time. */
const MAX_KEPT = 10_000;
const DROPS_PER_CALL = 4;
/** How many operations outlive what they worked on. */
const MAX_RECENT = 1_000;

export const emptyRing = (): OpRing => ({ first: 1, last: 0 });

export const answerName = (op: string): string => `x:${op}`;
const slotName = (n: number): string => `q:${formatInteger(n)}`;

/**
 * What this call answered before; `undefined` when it is new. With `ring` it reads in one go what `rememberOp` will look at.
 */
export function recallOp(store: Store, op: string, ring?: OpRing): string | undefined {
  if (ring !== undefined) {
    const names = [answerName(op)];
    for (let n = ring.first; n <= ring.last && n < ring.first + DROPS_PER_CALL; n++) names.push(slotName(n));
    store.load(names);
  }
  return store.get(answerName(op));
}

/** The operations of the last minute, the oldest first: the latest 1,000 of them. */
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

/** How many calls are remembered at most, and for how long: a minute at least. */
export interface RingBounds {
  most?: number;
  keptMs?: number;
}

/** Keeps a call's answer, and lets go of some that are over. */
export function rememberOp(store: Store, ring: OpRing, op: string, answer: string, bounds: RingBounds = {}): void {
  const { most = MAX_KEPT } = bounds;
  const keptMs = Math.max(bounds.keptMs ?? 0, KEPT_MS);
  // A full ring lets go of several at once, every few calls: each call that removes something takes a command more on Redis.
  const room = most - DROPS_PER_CALL;
  const isFull = ring.last - ring.first + 1 >= most;
  for (let i = 0; i < DROPS_PER_CALL && ring.first <= ring.last; i++) {
    const slot = slotName(ring.first);
    const text = store.get(slot);
    if (text !== undefined) {
      const kept = decode<{ op: string; atMs: number }>(text);
      const isSpare = isFull && ring.last - ring.first + 1 > room;
      if (!isSpare && kept.atMs + keptMs > store.nowMs) break;
      store.remove(answerName(kept.op));
      store.remove(slot);
    }
    ring.first += 1;
  }
  ring.last += 1;
  store.set(slotName(ring.last), encode({ op, atMs: store.nowMs }));
  store.set(answerName(op), answer);
}
