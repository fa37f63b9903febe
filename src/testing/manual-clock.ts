import type { Clock } from "../lib/clock.js";

interface Timer {
  readonly run: () => void;
  readonly atMs: number;
}

/** How many turns of the real event loop each timer gets for its follow-up work: promises, streams, WebCrypto. */
const ROUNDS = 4;

/**
 * A clock that only moves when a test moves it. Pass it to a `MemoryCoordinator`, and no test has to sleep.
 *
 * A timer that is already due (a delay of 0) fires by itself, soon, as on any platform. The others fire in the order of
 * their times while the clock is moved past them.
 *
 * @example
 * ```ts
 * import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
 * import { ManualClock } from "edge-coordinator/testing";
 *
 * const clock = new ManualClock();
 * const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
 * await tracker.register("document-1", 2, { timeoutSec: 60 });
 * await clock.advance(60_000);
 * (await tracker.status("document-1"))?.state; // "timed_out"
 * ```
 */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();

  /** @param startAtMs the initial time, in milliseconds since 1970. Default: the beginning of 2026. */
  constructor(startAtMs = 1_767_225_600_000) {
    this.#nowMs = startAtMs;
  }

  now(): number {
    return this.#nowMs;
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  setTimer(run: () => void, delayMs: number): () => void {
    const timer: Timer = { run, atMs: this.#nowMs + Math.max(0, delayMs) };
    this.#timers.add(timer);
    if (delayMs <= 0) setTimeout(() => this.#fire(timer), 0);
    return () => void this.#timers.delete(timer);
  }

  /** Moves the clock forward, timer by timer. After each timer it waits for the promises that the timer started. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (let timer = this.#nextDue(untilMs); timer !== undefined; timer = this.#nextDue(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      this.#fire(timer);
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Sets the time, forward or back, like a clock that is corrected. Then fires due timers. */
  async set(atMs: number): Promise<void> {
    this.#nowMs = atMs;
    await this.advance(0);
  }

  #nextDue(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
    }
    return next;
  }

  #fire(timer: Timer): void {
    if (this.#timers.delete(timer)) timer.run();
  }
}

/** Waits some turns of the event loop, so that pending promises settle. */
export async function settle(rounds = ROUNDS): Promise<void> {
  for (let i = 0; i < rounds; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}
