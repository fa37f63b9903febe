import { systemClock } from "../../../lib/clock.js";
import type { WakingMachine } from "../../../runtime/backend.js";
import { type DueLine, type DueQueue, drainQueue, PUT_OFF_MS } from "../../../runtime/drain.js";
import { partsOfRecord, recordName } from "../../../runtime/placement.js";
import type { Wakers } from "../../../runtime/wakers.js";
import type { ObjectAlarm } from "./alarm.js";
import type { IndexNews } from "./index-news.js";
import type { SqliteRecords } from "./records.js";
import { INDEX_MARK } from "./tables.js";

/** How many expired records are removed in one turn of the event loop, and by one alarm. */
const SWEEP_A_TURN = 500;
const SWEEP_AN_ALARM = 10_000;
/**
 * The pause before the next sweep when all expired records were removed. The pause grows with the number of records. So a
 * large object reads at most a few hundred rows a second for sweeps.
 */
const SWEEP_PAUSE_MS = 60_000;
const SWEEP_PAUSE_A_RECORD_MS = 10;
/** After this time an alarm begins no more deliveries: the platform stops an alarm after 15 minutes. */
const ALARM_BUDGET_MS = 60_000;
/** How many records are woken concurrently, and in one turn of the event loop. */
const WAKES_AT_ONCE = 6;
const WAKES_A_TURN = 64;
/** When the alarm fires again if the object crashes during its work. Alarms of a running object never overlap. */
const GUARD_MS = 2_000;

export interface AlarmRoundOptions {
  readonly records: SqliteRecords;
  readonly alarm: ObjectAlarm;
  readonly wakers: Wakers;
  readonly news: IndexNews;
  readonly now: () => number;
  /** Called before records are woken, with the id of one of them. */
  readonly beforeWake: (id: string) => void;
  /** Called before the storage is deleted. */
  readonly beforeForget: () => void;
}

/** The work of one alarm: removes expired records, wakes due ones, tells the index, and sets the next alarm. */
export class AlarmRound {
  readonly #options: AlarmRoundOptions;
  /** An earlier instance of the object may have begun attempts. */
  #mayHaveEarlierAttempts = true;

  constructor(options: AlarmRoundOptions) {
    this.#options = options;
  }

  /** Call it when nothing was stored before this instance. */
  startsEmpty(): void {
    this.#mayHaveEarlierAttempts = false;
  }

  async run(): Promise<void> {
    const { records, alarm, news, now } = this.#options;
    const nowMs = now();
    const failed = new Set<string>();
    // After a restart, also wake records whose attempts an earlier instance began: their leases have not expired yet.
    const due = this.#mayHaveEarlierAttempts ? records.timed() : records.due(nowMs);
    this.#mayHaveEarlierAttempts = false;
    const expired = records.expired(nowMs, SWEEP_AN_ALARM);
    const dueRecords = due.filter((name) => name !== INDEX_MARK);
    // Before the first await: if the object crashes from here on, the alarm soon fires in its next instance.
    if (dueRecords.length > 0 || expired.length > SWEEP_A_TURN) alarm.arm(nowMs + GUARD_MS);
    const telling = due.length > dueRecords.length ? news.tell() : undefined;
    await Promise.all([this.#sweep(expired, nowMs), this.#wakeAll(dueRecords, failed), telling]);
    this.rearm(failed, expired.length < SWEEP_AN_ALARM);
  }

  /** Sets the next alarm, or deletes the storage of an object without records. */
  rearm(failed: ReadonlySet<string>, isSwept: boolean): void {
    const { records, alarm, now, beforeForget } = this.#options;
    const nowMs = now();
    const { count, expiryMs, wakeMs, nextWakeMs } = records.outlook(nowMs);
    if (count === 0) {
      alarm.pauseSweeps(nowMs);
      beforeForget();
      alarm.set(undefined);
      if (records.exists) records.forget();
      return;
    }
    const instants: number[] = [];
    if (nextWakeMs !== undefined) instants.push(nextWakeMs);
    const pauseMs = isSwept ? Math.max(SWEEP_PAUSE_MS, count * SWEEP_PAUSE_A_RECORD_MS) : 0;
    alarm.pauseSweeps(nowMs + pauseMs);
    if (expiryMs !== undefined) instants.push(Math.max(expiryMs, nowMs + pauseMs));
    const due = wakeMs !== undefined && wakeMs <= nowMs ? records.due(nowMs) : [];
    if (due.some((record) => !failed.has(record))) instants.push(nowMs);
    else if (due.length > 0) instants.push(nowMs + PUT_OFF_MS);
    alarm.set(instants.length === 0 ? undefined : Math.max(nowMs + 1, Math.min(...instants)));
  }

  /** Removes expired records, some in each turn of the event loop. */
  async #sweep(expired: readonly string[], nowMs: number): Promise<void> {
    for (let from = 0; from < expired.length; from += SWEEP_A_TURN) {
      if (from > 0) await nextTurn();
      this.#options.records.sweep(expired.slice(from, from + SWEEP_A_TURN), nowMs);
    }
  }

  /** Wakes records, and waits for the deliveries that they started. */
  async #wakeAll(due: readonly string[], failed: Set<string>): Promise<void> {
    const { now, wakers, beforeWake } = this.#options;
    let from = 0;
    const queue: DueQueue<DueLine> = {
      take: async () => {
        if (from >= due.length) return undefined;
        if (from > 0) await nextTurn();
        const names = due.slice(from, from + WAKES_A_TURN);
        from += names.length;
        return names.map(lineOf);
      },
      putOff: ({ machine, id }) => void failed.add(recordName(machine, id)),
      giveBack: () => {},
      outlook: () => ({ isDue: false, nextDueAtMs: undefined }),
    };
    if (due[0] === undefined) return;
    beforeWake(lineOf(due[0]).id);
    const clock = { ...systemClock, now };
    await drainQueue(queue, { budgetMs: ALARM_BUDGET_MS, atOnce: WAKES_AT_ONCE, clock, wakers });
  }
}

function lineOf(record: string): DueLine {
  const { machine, id } = partsOfRecord(record);
  return { machine: machine as WakingMachine, id, atMs: 0 };
}

/** Yields to the event loop, so that the object answers calls in between. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
