import { formatInteger } from "./host.js";
import { nextNumber, numbersUntilMs } from "./numbers.js";
import { emptyRing, type OpRing, recallOp, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/**
 * Versions of one key, of which only the newest counts. A version is *issued* first and *sent* afterwards: until it is
 * known to have been sent, it makes no older one stale, since nobody may ever hear of it.
 */
interface VersionHead {
  issued: number;
  /** The newest version that is known to have been sent. */
  sent: number;
  ring: OpRing;
}

function save(store: Store, head: VersionHead, ttlMs: number): void {
  store.put(head);
  store.keepUntil(numbersUntilMs(store, head.issued) + ttlMs);
}

/** Issues a version: above all before it, and above all of an earlier record, since it begins at the server's time. */
function next(store: Store, input: { op: string; ttlMs: number; held?: boolean }): { version: number } {
  const head = store.head<VersionHead>() ?? { issued: 0, sent: 0, ring: emptyRing() };
  const before = recallOp(store, input.op);
  if (before !== undefined) return { version: Number(before) };
  const version = nextNumber(store, head.issued);
  head.issued = version;
  if (input.held !== true) head.sent = version;
  rememberOp(store, head.ring, input.op, formatInteger(version));
  save(store, head, input.ttlMs);
  return { version };
}

/**
 * Somebody has sent this version, or has it in hands: from now on older ones are stale. Says whether it is one of them.
 * A version that was never issued here changes nothing.
 */
function seen(store: Store, input: { version: number; ttlMs: number }): { stale: boolean } {
  const head = store.head<VersionHead>();
  if (head === undefined) return { stale: false };
  if (input.version > head.sent && input.version <= head.issued) {
    head.sent = input.version;
    save(store, head, input.ttlMs);
  }
  return { stale: input.version < head.sent };
}

export const coalesce = { next, seen };
