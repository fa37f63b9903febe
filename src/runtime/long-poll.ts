import type { Clock } from "../lib/clock.js";
import type { Watched } from "./backend.js";
import { pause } from "./deadline.js";
import type { Listening, Notified } from "./wait-loop.js";
import { WaitPauses } from "./wait-pauses.js";

export interface LongPollOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** The longest that one request waits. */
  readonly maxHopMs: number;
  /** One request, which waits at the other side for `hopMs` at most. `undefined`, or not ready: it is to be sent again. */
  hop(hopMs: number, signal: AbortSignal): Promise<Watched | undefined>;
}

/** How long after its time a wait still takes an answer that is on its way. */
export const GRACE_MS = 50;

/** Notifies a loop of what the other side says to one request after another. */
export function longPoll(loop: Notified, options: LongPollOptions): Listening {
  const controller = new AbortController();
  void keepAsking(loop, options, controller.signal);
  return { isLive: () => true, leave: () => controller.abort() };
}

async function keepAsking(
  loop: Notified,
  { clock, random, maxHopMs, hop }: LongPollOptions,
  signal: AbortSignal,
): Promise<void> {
  const pauses = new WaitPauses(undefined, random);
  while (!signal.aborted) {
    const beganAtMs = clock.now();
    const hopMs = Math.min(maxHopMs, Math.max(1, Math.ceil(loop.endsAtMs - beganAtMs)));
    let pauseMs = 0;
    loop.begins();
    try {
      loop.heard(await hop(hopMs, signal));
      // An answer that comes long before its time, and ends no wait, must not be asked for in a loop.
      if (clock.now() - beganAtMs < hopMs / 2) pauseMs = pauses.afterFailure();
      else pauses.succeeded();
    } catch (error) {
      if (signal.aborted || !loop.failed(error)) return;
      pauseMs = pauses.afterFailure(error);
    }
    if (pauseMs === 0 || signal.aborted) continue;
    try {
      // The process lives as long as a waiter's own timer keeps it alive.
      await pause({ limitMs: pauseMs, signal, clock, background: true });
    } catch (error) {
      // Aborted; or the platform has no timer left, and asking without a pause would never end.
      if (!signal.aborted) loop.failed(error);
      return;
    }
  }
}
