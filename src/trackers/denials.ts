import { monotonicMs } from "./held-lease.js";

/** A denial that a `RateLimiter` remembers. Made and read by the limiter only. */
export interface Denial {
  readonly cost: number;
  readonly remaining: number;
  /** By the process's own clock, which only grows. */
  readonly resetAtMs: number;
  readonly retryAtMs: number;
  /** When the limiter asks the backend again: at `retryAtMs`, or sooner. */
  readonly untilMs: number;
}

/** The output of a check that was denied. */
interface Denied {
  readonly remaining: number;
  readonly resetMs: number;
  readonly retryAfterMs: number;
}

/** How many denials a map holds. The oldest are removed first. */
const MAX_DENIALS = 10_000;
/** A denial is not believed for longer, in case the limit or the server's clock has changed. */
const MAX_DENIAL_MS = 60_000;

/** Returns the denial that still holds for a check of this cost. */
export function findDenial(denials: Map<string, Denial>, key: string, cost: number): Denied | undefined {
  const denial = denials.get(key);
  if (denial === undefined || cost < denial.cost) return undefined;
  const nowMs = monotonicMs();
  if (denial.untilMs <= nowMs) {
    denials.delete(key);
    return undefined;
  }
  const leftMs = (atMs: number): number => Math.ceil(atMs - nowMs);
  const [retryAfterMs, resetMs] = [leftMs(denial.retryAtMs), leftMs(denial.resetAtMs)];
  return { remaining: denial.remaining, resetMs, retryAfterMs };
}

/** Keeps a denial. @param sentAtMs when the check was sent, by `monotonicMs`: the server's denial began later. */
export function keepDenial(
  denials: Map<string, Denial>,
  key: string,
  { cost, sentAtMs, denied }: { readonly cost: number; readonly sentAtMs: number; readonly denied: Denied },
): void {
  denials.delete(key);
  for (const oldest of denials.keys()) {
    if (denials.size < MAX_DENIALS) break;
    denials.delete(oldest);
  }
  const { remaining, resetMs, retryAfterMs } = denied;
  const retryAtMs = sentAtMs + retryAfterMs;
  const untilMs = Math.min(retryAtMs, sentAtMs + MAX_DENIAL_MS);
  denials.set(key, { cost, remaining, resetAtMs: sentAtMs + resetMs, retryAtMs, untilMs });
}
