import type { Store } from "./store.js";

/**
 * A rate limiter by GCRA, the generic cell rate algorithm. The record holds one instant: when the full burst is
 * available again. The *debt* is the time until then. A call of cost c adds c · window / limit to the debt. It is
 * allowed if the debt stays within burst · window / limit.
 *
 * The debt is a whole number of 1/limit milliseconds. So the arithmetic is exact, and the same in JavaScript and in Lua.
 *
 * A call has no operation id: a resent call only denies more. A record lives as long as its debt, and for some time after
 * it. So few calls move the expiry, and a key that is used often keeps its row.
 *
 * @see https://www.itu.int/rec/T-REC-I.371 for the algorithm.
 */
interface LimiterHead {
  /** When the debt ends: whole milliseconds, and the rest in 1/limit milliseconds. */
  atMs: number;
  rest: number;
  /** The limit that `rest` counts in. */
  limit: number;
}

export interface TakeInput {
  /** How many calls the limiter admits in a window on average: 1 to `MAX_LIMIT`. */
  limit: number;
  /** 1 to `MAX_WINDOW_MS`. */
  windowMs: number;
  /** How many calls it admits at once: 1 to `MAX_LIMIT`. */
  burst: number;
  /** 0 to `burst`. 0 reads without taking. */
  cost: number;
}

export interface TakeOutput {
  allowed: boolean;
  /** How many calls of cost 1 would be allowed now. */
  remaining: number;
  /** Until the full burst is available. */
  resetMs: number;
  /** Until this cost fits; 0 when it was allowed. */
  retryAfterMs: number;
}

export const MAX_LIMIT = 1_000_000;
/** 31 days. */
export const MAX_WINDOW_MS = 2_678_400_000;
/** How long a full burst may take to refill, `burst · windowMs / limit`: a year. A record's instants stay below 10^14. */
export const MAX_REFILL_MS = 31_536_000_000;
/** A record outlives its debt by the time in which a burst refills, and by this at most. */
const MAX_SLACK_MS = 3_600_000;

/** Takes `cost`, or nothing when it does not fit. A denial and a cost of 0 write nothing. */
function take(store: Store, { limit, windowMs, burst, cost }: TakeInput): TakeOutput {
  const most = burst * windowMs;
  const debt = debtOf(store, limit, most);
  const after = debt + cost * windowMs;
  const allowed = after <= most;
  if (allowed && cost > 0) {
    const atMs = store.nowMs + Math.floor(after / limit);
    store.put({ atMs, rest: after % limit, limit });
    store.keepUntil(atMs + 1, Math.min(Math.ceil(most / limit), MAX_SLACK_MS));
  }
  const left = allowed ? after : debt;
  return {
    allowed,
    remaining: Math.floor((most - left) / windowMs),
    resetMs: Math.ceil(left / limit),
    retryAfterMs: allowed ? 0 : Math.ceil((after - most) / limit),
  };
}

/** Returns the debt in 1/limit milliseconds: at most one burst, also after the clock went back. */
function debtOf(store: Store, limit: number, most: number): number {
  const head = store.head<LimiterHead>();
  if (head === undefined) return 0;
  // Another limit counts in other fractions. Rounding up never admits more.
  const rest = head.limit === limit ? head.rest : Math.ceil((head.rest * limit) / head.limit);
  const debt = (head.atMs - store.nowMs) * limit + rest;
  if (debt <= 0) return 0;
  return debt < most ? debt : most;
}

export const limiter = { take };
