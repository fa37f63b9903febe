import type { Store } from "./store.js";

/**
 * How long an open record lives. A group ends at its deadline. A group without a deadline ends by *silence*: no task, no
 * cancel and no caller that waits has put its end off for its TTL. A request expires in the same way, without an end.
 */

/** What a group's end by time depends on. */
export interface LifetimeHead {
  deadlineAtMs?: number;
  ttlMs: number;
  /** When a call last changed an open group without a deadline, and when a waiter last put its end off. */
  refreshedAtMs?: number;
  renewedAtMs?: number;
}

/** Waiters alone keep a record alive for so long after its last change. */
export const MAX_RENEWED_MS = 2_592_000_000;
/** A record that lives shorter than four of these is not kept alive by its waiters. */
const MIN_RECHECK_MS = 100;

/** The instant at which an open group ends if nothing happens before. */
export function endsAtMs(head: LifetimeHead): number {
  if (head.deadlineAtMs !== undefined) return head.deadlineAtMs;
  return lastSignMs(head) + head.ttlMs;
}

/** Puts off the end by silence: a call has changed the group. */
export function touch(store: Store, head: LifetimeHead): void {
  if (head.deadlineAtMs === undefined) head.refreshedAtMs = store.nowMs;
}

/** Puts off the end by silence for a caller that waits; says whether the head has changed. */
export function renew(store: Store, head: LifetimeHead): boolean {
  if (head.deadlineAtMs !== undefined || !isRenewable(store, head.refreshedAtMs ?? 0)) return false;
  if (!isRenewalDue(store, lastSignMs(head), head.ttlMs)) return false;
  head.renewedAtMs = store.nowMs;
  return true;
}

/** When a caller that waits for an open group has to look again. `renews`: its look puts off the end by silence. */
export function recheckGroupMs(store: Store, head: LifetimeHead, renews: boolean): number {
  const endsInMs = endsAtMs(head) - store.nowMs;
  if (!renews || head.deadlineAtMs !== undefined || !isRenewable(store, head.refreshedAtMs ?? 0)) return endsInMs;
  const renewInMs = renewalInMs(store, lastSignMs(head), head.ttlMs);
  return renewInMs < endsInMs ? renewInMs : endsInMs;
}

/** Whether waiters still keep a record alive that last changed at `changedAtMs`. */
export function isRenewable(store: Store, changedAtMs: number): boolean {
  return store.nowMs - changedAtMs < MAX_RENEWED_MS;
}

/** Whether a quarter of the TTL has passed since the record was last put off: more often would be writes for nothing. */
export function isRenewalDue(store: Store, sinceMs: number, ttlMs: number): boolean {
  return store.nowMs - sinceMs >= ttlMs / 4;
}

/** In how many milliseconds a waiter has to look again to keep the record alive. */
export function renewalInMs(store: Store, sinceMs: number, ttlMs: number): number {
  const dueInMs = Math.ceil(ttlMs / 4) - (store.nowMs - sinceMs);
  return dueInMs > MIN_RECHECK_MS ? dueInMs : MIN_RECHECK_MS;
}

function lastSignMs({ refreshedAtMs = 0, renewedAtMs = 0 }: LifetimeHead): number {
  return refreshedAtMs > renewedAtMs ? refreshedAtMs : renewedAtMs;
}
