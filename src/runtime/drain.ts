import type { Clock } from "../lib/clock.js";
import type { DrainReport, WakingMachine } from "./backend.js";
import { orAborted } from "./deadline.js";
import type { Wakers } from "./wakers.js";
import { Stop, type WorkPool } from "./work-pool.js";

/** A due record, as an entry of a queue. */
export interface DueLine {
  readonly machine: WakingMachine;
  readonly id: string;
  readonly atMs: number;
}

/** The due queue that one drain reads, page by page. */
export interface DueQueue<Line extends DueLine> {
  /**
   * Returns the next due entries, at most `count`, none of them twice. An empty page: this version can wake none of its
   * entries, so ask again. `undefined`: no more entries are due. Where the backend supports it, other drains do not get
   * the returned entries for a while.
   */
  take(count: number): Promise<readonly Line[] | undefined>;
  /** Postpones an entry whose record could not be woken. */
  putOff(line: Line): void | Promise<void>;
  /** Returns entries that were taken and not begun. */
  giveBack(lines: readonly Line[]): void | Promise<void>;
  /**
   * `isDue`: whether due entries are left that were not taken. `nextDueAtMs`: when the next entry comes due, as far as
   * was read.
   */
  outlook(): { readonly isDue: boolean; readonly nextDueAtMs: number | undefined };
}

/** Limits of one drain, and what it runs with. */
export interface DrainPace {
  /** Default: no limit. */
  readonly limit?: number;
  /** Default: no limit. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** How many records are woken concurrently. */
  readonly atOnce: number;
  readonly clock: Clock;
  readonly wakers: Wakers;
  /** Where deliveries run. Default: the coordinator's own pool. */
  readonly pool?: WorkPool | undefined;
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** How long a record that could not be woken is skipped. */
export const PUT_OFF_MS = 30_000;

/** How many entries one page of a queue holds at most. */
const PAGE = 128;

/**
 * Wakes due records, each once, until the limit, the budget or the signal ends it. An entry that could not be woken is
 * postponed. Postponed entries and records whose claims were handed back do not count towards the limit: many of them
 * would hide the entries after them.
 *
 * Rejects with the signal's reason when it aborts, or with the queue's error.
 */
export async function drainQueue<Line extends DueLine>(queue: DueQueue<Line>, pace: DrainPace): Promise<DrainReport> {
  pace.signal?.throwIfAborted();
  return orAborted(new Drain(queue, pace).run(), pace.signal);
}

class Drain<Line extends DueLine> {
  readonly #queue: DueQueue<Line>;
  readonly #pace: DrainPace;
  readonly #limit: number;
  #stopAtMs = Number.POSITIVE_INFINITY;
  readonly #stop = new Stop();
  /** Taken and not begun. */
  #lines: Line[] = [];
  #taking: Promise<void> | undefined;
  /** How many entries to take at least. Doubles after an empty page, because many more such entries may follow. */
  #atLeast = 1;
  #isOver = false;
  /** The queue's error. */
  #error: { readonly reason: unknown } | undefined;
  #underWay = 0;
  #woken = 0;
  #failed = 0;
  /** `#running`: deliveries under way. `#parked`: records that wait for a place in the pool. */
  readonly #running = new Set<Promise<void>>();
  readonly #parked = new Set<Promise<void>>();

  constructor(queue: DueQueue<Line>, pace: DrainPace) {
    this.#queue = queue;
    this.#pace = pace;
    this.#limit = pace.limit ?? Number.POSITIVE_INFINITY;
  }

  async run(): Promise<DrainReport> {
    const { clock, budgetMs, signal, atOnce, waitUntil } = this.#pace;
    const stop = (): void => this.#stop.stop();
    // Reading the first page does not count towards the budget, so that a short budget wakes something too.
    await this.#take();
    if (signal?.aborted) stop();
    if (budgetMs !== undefined) this.#stopAtMs = clock.now() + budgetMs;
    const cancel = budgetMs === undefined ? () => {} : clock.setTimer(stop, budgetMs, { background: true });
    signal?.addEventListener("abort", stop);
    await Promise.all(Array.from({ length: atOnce }, () => this.#wakeEach()));
    if (this.#lines.length > 0) await this.#queue.giveBack(this.#lines);
    // When the drain waits for its deliveries anyway, parked records may get a place until the budget ends.
    if (waitUntil === undefined) await Promise.all(this.#parked);
    cancel();
    signal?.removeEventListener("abort", stop);
    const ended = Promise.all(this.#running);
    if (waitUntil === undefined) await ended;
    else waitUntil(ended);
    if (this.#error !== undefined) throw this.#error.reason;
    const { isDue, nextDueAtMs } = this.#queue.outlook();
    return { woken: this.#woken, left: isDue || this.#failed > 0, nextDueAtMs };
  }

  async #wakeEach(): Promise<void> {
    const { wakers, pool } = this.#pace;
    for (let line = await this.#next(); line !== undefined; line = await this.#next()) {
      const { outcome, done, parked } = await wakers.wake(line.machine, line.id, { pool, stop: this.#stop });
      keepUntilEnd(this.#running, done);
      keepUntilEnd(
        this.#parked,
        parked.then((isWoken) => {
          if (isWoken) this.#woken++;
        }),
      );
      if (outcome === "failed") {
        this.#failed++;
        await this.#queue.putOff(line);
      }
      this.#underWay--;
      if (outcome === "woken") this.#woken++;
    }
  }

  /** Returns the next entry to wake and counts it as under way. */
  async #next(): Promise<Line | undefined> {
    while (this.#mayBegin()) {
      const line = this.#lines.shift();
      if (line !== undefined) {
        this.#underWay++;
        return line;
      }
      if (this.#isOver) return undefined;
      this.#taking ??= this.#take();
      await this.#taking;
    }
    return undefined;
  }

  #mayBegin(): boolean {
    const isStopped = this.#stop.isStopped || this.#pace.clock.now() >= this.#stopAtMs;
    return !isStopped && this.#woken + this.#underWay < this.#limit;
  }

  async #take(): Promise<void> {
    try {
      const most = Math.max(this.#limit - this.#woken - this.#underWay, this.#atLeast);
      const lines = await this.#queue.take(Math.min(most, PAGE));
      this.#isOver = lines === undefined;
      this.#atLeast = lines?.length === 0 ? Math.min(2 * most, PAGE) : 1;
      this.#lines = [...(lines ?? [])];
    } catch (reason) {
      this.#isOver = true;
      this.#error = { reason };
    } finally {
      this.#taking = undefined;
    }
  }
}

function keepUntilEnd(set: Set<Promise<void>>, work: Promise<void>): void {
  set.add(work);
  void work.then(() => set.delete(work));
}
