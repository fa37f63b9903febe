import { decode, encode, formatInteger } from "../platform.js";
import type { Store } from "../store.js";

/**
 * What the operations of the last minute answered, as members of the record: `x:OP` the answer, `q:N` when and which.
 * For operations that many make at once: a call is sent again within seconds, however many others come in between.
 */
export interface OpRing {
  first: number;
  last: number;
}

/** Longer than any call is sent again by itself. */
const KEPT_MS = 60_000;
/** A bound for storms: then the oldest goes before its minute is over. */
const MAX_KEPT = 10_000;
const DROPS_PER_CALL = 4;

export const emptyRing = (): OpRing => ({ first: 1, last: 0 });

/** What this call answered before; `undefined` when it is new. */
export function recallOp(store: Store, op: string): string | undefined {
  return store.get(`x:${op}`);
}

/** Keeps an answer, and lets go of some that are over. */
export function rememberOp(store: Store, ring: OpRing, op: string, answer: string, most = MAX_KEPT): void {
  for (let i = 0; i < DROPS_PER_CALL && ring.first <= ring.last; i++) {
    const slot = `q:${formatInteger(ring.first)}`;
    const text = store.get(slot);
    if (text !== undefined) {
      const kept = decode<{ op: string; atMs: number }>(text);
      const isFull = ring.last - ring.first + 1 >= most;
      if (!isFull && kept.atMs + KEPT_MS > store.nowMs) break;
      store.remove(`x:${kept.op}`);
      store.remove(slot);
    }
    ring.first += 1;
  }
  ring.last += 1;
  store.set(`q:${formatInteger(ring.last)}`, encode({ op, atMs: store.nowMs }));
  store.set(`x:${op}`, answer);
}
