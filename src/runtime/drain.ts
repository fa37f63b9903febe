import type { Clock } from "../lib/clock.js";
import type { DrainReport, WakingMachine } from "./backend.js";
import { orAborted } from "./deadline.js";
import type { Wakers } from "./wakers.js";
import { Stop, type WorkPool } from "./work-pool.js";

/** A record that is due, as a queue names it. */
export interface DueLine {
  readonly machine: WakingMachine;
  readonly id: string;
  readonly atMs: number;
}

/** What one drain reads from its backend, page by page. */
export interface DueQueue<Line extends DueLine> {
  /**
   * The next lines that are due, `count` at most, none of them twice. An empty page: none of them can be woken by this version, ask
   * again. `undefined`: nothing more is due.
   * Where the backend can, it keeps them from other drains for a while.
   */
  take(count: number): Promise<readonly Line[] | undefined>;
  /** Has a line come up later that could not be woken. */
  putOff(line: Line): void | Promise<void>;
  /** Returns lines that were taken and not begun. */
  giveBack(lines: readonly Line[]): void | Promise<void>;
  /** Whether something is due that was not taken, and when the next line comes due, as far as was read. */
  outlook(): { readonly isDue: boolean; readonly nextDueAtMs: number | undefined };
}

/** How much one drain does, and how. */
export interface DrainPace {
  /** Default: no limit. */
  readonly limit?: number;
  /** Default: as long as it takes. */
  readonly budgetMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** How many records are woken side by side. */
  readonly atOnce: number;
  readonly clock: Clock;
  readonly wakers: Wakers;
  /** Where deliveries run, if not in the coordinator's own pool. */
  readonly pool?: WorkPool | undefined;
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** One page of a queue holds so many lines at most. */
const PAGE = 128;

/**
 * Wakes what is due, each line once, until the limit, the time or the signal ends it. A line that could not be woken is put off;
 * it does not count, and neither does one whose claims were handed back: many of them would hide what stands behind them.
 *
 * Rejects with the signal's reason on its abort, and with what the queue failed with.
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
  /** More are asked for after an empty page: many more may stand behind it. */
  #atLeast = 1;
  #isOver = false;
  /** What the queue failed with. */
  #error: { readonly reason: unknown } | undefined;
  #underWay = 0;
  #woken = 0;
  #failed = 0;
  /** What the woken records asked for and has not ended, and the records that wait for a place. */
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
    // However long the backend takes for it: a short budget wakes something too.
    await this.#take();
    if (signal?.aborted) stop();
    if (budgetMs !== undefined) this.#stopAtMs = clock.now() + budgetMs;
    const cancel = budgetMs === undefined ? () => {} : clock.setTimer(stop, budgetMs, { background: true });
    signal?.addEventListener("abort", stop);
    await Promise.all(Array.from({ length: atOnce }, () => this.#wakeEach()));
    if (this.#lines.length > 0) await this.#queue.giveBack(this.#lines);
    // What waits for a place may have it until the time is over, where deliveries are waited for anyway.
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

  /** The next line to wake, which is then under way. */
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
