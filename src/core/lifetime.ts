import type { Store } from "./store.js";

/**
 * How long an open record lives.
 *
 * A group with a deadline ends at the deadline. A group without one has an *idle timeout*: it ends when no ack, no
 * decrement and no waiting caller came for its TTL. A request expires after the same idle time, but without an end.
 */

/** The fields that decide when a group times out. */
export interface LifetimeHead {
  deadlineAtMs?: number;
  ttlMs: number;
  /**
   * `refreshedAtMs`: when a call last changed an open group without a deadline. `renewedAtMs`: when a waiter last
   * extended its idle timeout.
   */
  refreshedAtMs?: number;
  renewedAtMs?: number;
}

/** How long waiters alone keep a record alive after its last change: 30 days. */
export const MAX_RENEWED_MS = 2_592_000_000;
/** The shortest pause between two looks of a waiter. A TTL below four times this is too short for waiters to extend. */
const MIN_RECHECK_MS = 100;

/** Returns when an open group times out if no call comes before. */
export function endsAtMs(head: LifetimeHead): number {
  if (head.deadlineAtMs !== undefined) return head.deadlineAtMs;
  return lastSignMs(head) + head.ttlMs;
}

/** Extends the idle timeout, because a call changed the group. */
export function touch(store: Store, head: LifetimeHead): void {
  if (head.deadlineAtMs === undefined) head.refreshedAtMs = store.nowMs;
}

/** Extends the idle timeout for a waiting caller. Returns whether the head changed. */
export function renew(store: Store, head: LifetimeHead): boolean {
  if (head.deadlineAtMs !== undefined || !isRenewable(store, head.refreshedAtMs ?? 0)) return false;
  if (!isRenewalDue(store, lastSignMs(head), head.ttlMs)) return false;
  head.renewedAtMs = store.nowMs;
  return true;
}

/**
 * Returns in how many milliseconds a waiter of an open group must look again. `renews`: its looks extend the idle
 * timeout.
 */
export function recheckGroupMs(store: Store, head: LifetimeHead, renews: boolean): number {
  const endsInMs = endsAtMs(head) - store.nowMs;
  if (!renews || head.deadlineAtMs !== undefined || !isRenewable(store, head.refreshedAtMs ?? 0)) return endsInMs;
  const renewInMs = renewalInMs(store, lastSignMs(head), head.ttlMs);
  return renewInMs < endsInMs ? renewInMs : endsInMs;
}

/** Whether waiters still keep alive a record that last changed at `changedAtMs`. */
export function isRenewable(store: Store, changedAtMs: number): boolean {
  return store.nowMs - changedAtMs < MAX_RENEWED_MS;
}

/** Whether a quarter of the TTL has passed since the last extension. Extending more often would only cost writes. */
export function isRenewalDue(store: Store, sinceMs: number, ttlMs: number): boolean {
  return store.nowMs - sinceMs >= ttlMs / 4;
}

/** Returns in how many milliseconds a waiter must look again to keep the record alive. */
export function renewalInMs(store: Store, sinceMs: number, ttlMs: number): number {
  const dueInMs = Math.ceil(ttlMs / 4) - (store.nowMs - sinceMs);
  return dueInMs > MIN_RECHECK_MS ? dueInMs : MIN_RECHECK_MS;
}

function lastSignMs({ refreshedAtMs = 0, renewedAtMs = 0 }: LifetimeHead): number {
  return refreshedAtMs > renewedAtMs ? refreshedAtMs : renewedAtMs;
}
