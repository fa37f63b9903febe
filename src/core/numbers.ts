import type { Store } from "./store.js";

/**
 * Numbers that only grow: versions of a key, generations of a group, versions of a request. They start at the server's
 * time, so that a new record does not repeat the numbers of an expired one. Many numbers in a short time run ahead of
 * the clock.
 */

/** The next number after `last`. */
export function nextNumber(store: Store, last: number): number {
  return store.nowMs > last ? store.nowMs : last + 1;
}

/**
 * Returns when the TTL of a record starts, given its highest number. The record must outlive its numbers: the next
 * record of this id starts at the server's time again.
 */
export function numbersUntilMs(store: Store, newest: number): number {
  return store.nowMs > newest ? store.nowMs : newest;
}
