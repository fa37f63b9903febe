import { emptyRing, type OpRing, recallOp, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/** A claim on a key. The first caller holds it until a caller releases it or its TTL ends. */
interface ClaimHead {
  /** The id of the call that holds the key; "" once released. */
  holder: string;
  /** The ids of finished claims and releases. A late copy of one of these calls changes nothing. */
  ring: OpRing;
}

function claim(store: Store, input: { op: string; ttlMs: number }): { claimed: boolean } {
  const head = store.head<ClaimHead>() ?? { holder: "", ring: emptyRing() };
  if (head.holder === input.op || recallOp(store, input.op) !== undefined) return { claimed: true };
  if (head.holder !== "") return { claimed: false };
  head.holder = input.op;
  store.put(head);
  store.keepUntil(store.nowMs + input.ttlMs);
  return { claimed: true };
}

/** Frees the key. With `holder`, only if that call still holds the key. */
function release(store: Store, input: { op: string; holder?: string }): { released: boolean } {
  const head = store.head<ClaimHead>();
  if (head === undefined) return { released: false };
  if (recallOp(store, input.op) !== undefined) return { released: true };
  if (head.holder === "" || (input.holder !== undefined && input.holder !== head.holder)) return { released: false };
  for (const op of [head.holder, input.op]) rememberOp(store, head.ring, op, "");
  head.holder = "";
  store.put(head);
  return { released: true };
}

export const dedupe = { claim, release };
