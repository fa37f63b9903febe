import type { Clock } from "./clock.js";
import { DueHeap } from "./due-heap.js";

interface Timer {
  readonly run: () => void;
  readonly atMs: number;
  readonly isBackground: boolean;
}

/** Cancelled timers are removed from the heap once they are most of it and it holds more than this. */
const COMPACT_FROM = 64;

/**
 * A clock whose timers share one timer of the platform. workerd allows an object 10,000 timers, and each wait needs one
 * for its timeout.
 *
 * Not for requests of one Worker: there the platform's timer ends with the request that set it.
 */
export class SharedClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  /** The active timers, and some that were cancelled. */
  readonly #heap = new DueHeap<Timer>();
  /** How many of the timers keep the process alive. */
  #foreground = 0;
  #armed: { readonly atMs: number; readonly isBackground: boolean; readonly cancel: () => void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  setTimer(run: () => void, delayMs: number, { background = false }: { background?: boolean } = {}): () => void {
    const timer: Timer = { run, atMs: this.now() + Math.max(0, delayMs), isBackground: background };
    this.#heap.push(timer, timer.atMs);
    this.#timers.add(timer);
    if (!background) this.#foreground++;
    const cancel = (): void => {
      if (this.#remove(timer)) this.#arm();
    };
    try {
      this.#arm();
    } catch (error) {
      // The platform has no timer left. The caller gets the error, so its timer must not fire later.
      cancel();
      throw error;
    }
    return cancel;
  }

  #remove(timer: Timer): boolean {
    if (!this.#timers.delete(timer)) return false;
    if (!timer.isBackground) this.#foreground--;
    if (this.#heap.size > COMPACT_FROM && this.#heap.size > 2 * this.#timers.size) this.#compact();
    return true;
  }

  #compact(): void {
    this.#heap.clear();
    for (const timer of this.#timers) this.#heap.push(timer, timer.atMs);
  }

  /** Sets the platform's timer to the earliest due time. It keeps the process alive while one of the timers does. */
  #arm(): void {
    const atMs = this.#timers.size === 0 ? undefined : this.#heap.nextAtMs;
    const isBackground = this.#foreground === 0;
    if (atMs !== undefined && this.#armed?.atMs === atMs && this.#armed.isBackground === isBackground) return;
    this.#armed?.cancel();
    this.#armed = undefined;
    if (atMs === undefined) return;
    const cancel = this.#clock.setTimer(() => this.#fire(), atMs - this.now(), { background: isBackground });
    this.#armed = { atMs, isBackground, cancel };
  }

  #fire(): void {
    this.#armed = undefined;
    const nowMs = this.now();
    const due: Timer[] = [];
    for (let entry = this.#heap.popDue(nowMs); entry !== undefined; entry = this.#heap.popDue(nowMs)) {
      due.push(entry.name);
    }
    // A due timer that an earlier one of these cancels does not run.
    for (const timer of due) if (this.#remove(timer)) timer.run();
    this.#arm();
  }
}
