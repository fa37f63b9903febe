import { formatInteger } from "./host.js";
import { nextNumber, numbersUntilMs } from "./numbers.js";
import { emptyRing, type OpRing, recallOp, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/**
 * Versions of one key, where the latest version wins. A caller first gets a version *issued*, then publishes it
 * (*sent*). A version that is issued but not known to be sent makes no older version stale: no receiver may ever see
 * it.
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

/**
 * Issues a version. It is higher than every earlier version of the key, also of an expired record: versions start at
 * the server's time.
 */
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
 * Records that a caller sent this version, or is about to process it: older versions are stale from now on. Returns
 * whether this version is itself stale. A version that was never issued here changes nothing.
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
