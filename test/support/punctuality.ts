import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Worker } from "node:worker_threads";

/** By how much work outlived its time, and for how long it kept the event loop from turning, in milliseconds. */
export interface Punctuality {
  readonly overshootMs: number;
  readonly stallMs: number;
}

/** How often work is measured that seems to be late: a busy machine spoils one, work that is late by its making all. */
const TRIES = 6;
const RESOLUTION_MS = 5;
const MS = 1e6;

/** Another thread with nothing to do: as late as its loop turns, the machine is busy. */
const IDLE = `
  const { parentPort } = require("node:worker_threads");
  const { monitorEventLoopDelay } = require("node:perf_hooks");
  const delay = monitorEventLoopDelay({ resolution: ${RESOLUTION_MS} });
  delay.enable();
  parentPort.on("message", (what) => {
    if (what === "begin") delay.reset();
    parentPort.postMessage(delay.max);
  });
`;

/**
 * Returns for how long this process's main thread was ready to run and had no processor, in milliseconds; 0 where the system
 * does not say. See https://docs.kernel.org/scheduler/sched-stats.html.
 */
function queuedMs(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[1]) / MS;
  } catch {
    return 0;
  }
}

/** Measures this thread beside an idle one: the result is this thread's own delay, and not the machine's. */
export class Stopwatch {
  readonly #idle = new Worker(IDLE, { eval: true });
  readonly #own = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#own.enable();
  }

  /** The least of six tries, or of as many as it takes to stay well within the limits. */
  async measure(timeoutMs: number, limits: Punctuality, work: () => Promise<unknown>): Promise<Punctuality> {
    let least: Punctuality = { overshootMs: Number.POSITIVE_INFINITY, stallMs: Number.POSITIVE_INFINITY };
    for (let i = 0; i < TRIES; i++) {
      const { overshootMs, stallMs } = await this.#once(timeoutMs, work);
      least = {
        overshootMs: Math.min(least.overshootMs, overshootMs),
        stallMs: Math.min(least.stallMs, stallMs),
      };
      if (least.overshootMs <= limits.overshootMs / 2 && least.stallMs <= limits.stallMs / 2) break;
    }
    return least;
  }

  async close(): Promise<void> {
    this.#own.disable();
    await this.#idle.terminate();
  }

  async #once(timeoutMs: number, work: () => Promise<unknown>): Promise<Punctuality> {
    await this.#ask("begin");
    this.#own.reset();
    const queuedBeforeMs = queuedMs();
    const startedMs = performance.now();
    const took = (): number => performance.now() - startedMs;
    // Set in the same turn: as late as the machine is busy.
    const bare = new Promise<number>((resolve) => setTimeout(() => resolve(took()), timeoutMs));
    const tookMs = await work().then(took, took);
    const overshootMs = tookMs - Math.max(timeoutMs, await bare);
    // The delay that is measured holds the timer's own interval.
    const ownMs = Math.max(0, this.#own.max / MS - RESOLUTION_MS);
    const idleMs = Math.max(0, (await this.#ask("end")) / MS - RESOLUTION_MS);
    // Both are what the machine took from this thread: the one or the other tells more of it.
    const machineMs = Math.max(idleMs, queuedMs() - queuedBeforeMs);
    return { overshootMs, stallMs: Math.max(0, ownMs - machineMs) };
  }

  #ask(what: "begin" | "end"): Promise<number> {
    return new Promise((resolve) => {
      this.#idle.once("message", resolve);
      this.#idle.postMessage(what);
    });
  }
}
