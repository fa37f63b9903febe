import type { Store } from "./store.js";

/**
 * Numbers that only grow: versions of a key, generations of a group, versions of a request. They begin at the server's time,
 * so a record that expired cannot hand out a number again. Many numbers in a short time run ahead of the clock.
 */

/** The next number after `last`. */
export function nextNumber(store: Store, last: number): number {
  return store.nowMs > last ? store.nowMs : last + 1;
}

/**
 * The instant from which a record with the number `newest` counts its TTL. The record must outlive its numbers: the next
 * record of this id begins at the server's time again.
 */
export function numbersUntilMs(store: Store, newest: number): number {
  return store.nowMs > newest ? store.nowMs : newest;
}
