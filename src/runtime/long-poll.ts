import type { Clock } from "../lib/clock.js";
import type { Watched } from "./backend.js";
import { pause } from "./deadline.js";
import { WaitPauses } from "./wait-pauses.js";
import type { Listening, Notified } from "./wait-source.js";

export interface LongPollOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** How long one request waits at most. */
  readonly maxHopMs: number;
  /**
   * Sends one request, which waits on the server for at most `hopMs`. `undefined`, or an output that is not ready: send
   * it again.
   */
  hop(hopMs: number, signal: AbortSignal): Promise<Watched | undefined>;
}

/** The longest time that one request waits at the Worker, and one call inside an object. */
export const MAX_HOP_MS = 25_000;

/** How long after its timeout a wait still takes an answer that is on its way. */
export const GRACE_MS = 50;

/** Sends one long poll after another, and passes each answer to the wait loop. */
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
      // An early answer that ends no wait is followed by a pause. Else the requests would loop without a pause.
      if (clock.now() - beganAtMs < hopMs / 2) pauseMs = pauses.afterFailure();
      else pauses.succeeded();
    } catch (error) {
      if (signal.aborted || !loop.failed(error)) return;
      pauseMs = pauses.afterFailure(error);
    }
    if (pauseMs === 0 || signal.aborted) continue;
    try {
      // An unref'd timer: the waiter's own timer keeps the process alive.
      await pause({ limitMs: pauseMs, signal, clock, background: true });
    } catch (error) {
      // The signal aborted, or the platform has no timer left. Without a pause the requests would never end.
      if (!signal.aborted) loop.failed(error);
      return;
    }
  }
}
