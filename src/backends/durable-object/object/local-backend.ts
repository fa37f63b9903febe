import { findTransition, type InputOf, machineOf, type OutputOf, type TransitionName } from "../../../core/registry.js";
import type { Changes } from "../../../core/store.js";
import { CoordinationError } from "../../../errors.js";
import { faultOfStorage } from "../../../http/remote-faults.js";
import { type Clock, systemClock } from "../../../lib/clock.js";
import { SharedClock } from "../../../lib/shared-clock.js";
import type { Backend, RunOptions, Wake, WakingMachine, WatchableTransition } from "../../../runtime/backend.js";
import { type Evaluation, evaluate, evaluationFailed } from "../../../runtime/evaluate.js";
import { emitChanges, type OnEvent } from "../../../runtime/events.js";
import { recordName } from "../../../runtime/placement.js";
import type { WaiterOptions } from "../../../runtime/wait-loop.js";
import { Waiters } from "../../../runtime/waiters.js";
import { Wakers } from "../../../runtime/wakers.js";
import { type PoolSize, WorkPool } from "../../../runtime/work-pool.js";
import type { ObjectAlarm } from "./alarm.js";
import { isNews, TELL_AFTER_MS } from "./index-news.js";
import type { SqliteRecords } from "./records.js";

/** How long an empty object without a timer is kept, in case of another write. */
const TIDY_MS = 10_000;
/** Workers open six connections at a time: more concurrent deliveries would only queue. */
const OBJECT_POOL: PoolSize = { places: 6, share: 4, most: 6 };

export interface LocalOptions {
  readonly records: SqliteRecords;
  readonly alarm: ObjectAlarm;
  readonly now: () => number;
  /** How many waits may be open at once. */
  readonly maxWaits: number;
  /** Whether the objects tell an index of their records. */
  readonly isIndexed: () => boolean;
  /** Called in the transaction that creates the tables. */
  readonly onFirstWrite: () => void;
  readonly onEvent: OnEvent;
}

/** The backend inside one object: runs transitions on the object's own records, without a round trip. */
export class LocalBackend implements Backend {
  readonly #options: LocalOptions;
  readonly #waiters: Waiters;
  readonly wakers: Wakers;

  constructor(options: LocalOptions) {
    this.#options = options;
    this.#waiters = new Waiters({
      clock: systemClock,
      sharedClock: new SharedClock(systemClock),
      isLocal: true,
      isOneContext: true,
      maxWaits: options.maxWaits,
      source: ({ transition, id, input }) => ({ look: () => this.apply(transition, id, input) }),
      lookOnce: ({ transition, id, input }) => this.apply(transition, id, input),
    });
    const clock: Clock = { now: options.now, setTimer: systemClock.setTimer };
    this.wakers = new Wakers({
      run: (machine, id, input) => this.#wake(machine, id, input),
      // Deadlines work even when the object's delivery options are invalid.
      own: { input: () => ({}), act: async () => {} },
      pool: new WorkPool(OBJECT_POOL, clock),
      clock,
      onEvent: options.onEvent,
    });
  }

  /** How many waits are open. */
  get watching(): number {
    return this.#waiters.size;
  }

  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    options.signal?.throwIfAborted();
    return this.apply(transition, id, input);
  }

  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WaiterOptions,
  ): Promise<OutputOf<N>> {
    return this.#waiters.watch({ transition, id, input }, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.wakers.add(machine, wake);
  }

  #wake(machine: WakingMachine, id: string, input: InputOf<`${WakingMachine}.woken`>) {
    if (findTransition(`${machine}.woken`) === undefined) {
      throw new CoordinationError("unsupported", `this version of the object cannot wake ${machine}`);
    }
    return this.apply(`${machine}.woken`, id, input);
  }

  /**
   * Runs one transition, commits it together with the alarm that it needs, and notifies the waits for the record.
   *
   * @throws {CoordinationError} `backend_rejected` when the transition fails or the storage is full, `limit_exceeded` for a value
   * too large for a row. Nothing is written.
   */
  apply<N extends TransitionName>(transition: N, id: string, input: InputOf<N>): OutputOf<N> {
    const { records, now, onFirstWrite, isIndexed } = this.#options;
    const record = recordName(machineOf(transition), id);
    const nowMs = now();
    const tellAtMs = nowMs + TELL_AFTER_MS;
    let isTold = true;
    let evaluation: Evaluation<N>;
    try {
      evaluation = records.transaction(() => {
        const stored = records.open(record);
        const made = evaluate(transition, input, stored, nowMs);
        if (made.changes.dirty) {
          if (!records.exists) onFirstWrite();
          stored.commit(made.changes);
          isTold = !(isIndexed() && isNews(record, made.changes));
          if (!isTold) records.mark(record, tellAtMs, nowMs);
        }
        return made;
      });
    } catch (error) {
      const fault = faultOfStorage(error);
      if (fault === undefined) throw evaluationFailed(transition, error);
      const { code, says, retryable = false } = fault;
      throw new CoordinationError(code, `${transition}: ${says}`, { retryable, cause: error });
    }
    const { output, changes } = evaluation;
    this.#arm(changes, nowMs);
    if (!isTold) this.#options.alarm.arm(tellAtMs);
    if (changes.notified) this.#waiters.notify(record, changes.topics);
    emitChanges(this.#options.onEvent, { machine: machineOf(transition), id }, changes.events);
    return output;
  }

  #arm(changes: Changes, nowMs: number): void {
    const { alarm, records } = this.#options;
    if (changes.head === undefined) {
      if (changes.cleared && !alarm.isStanding) alarm.set(nowMs + TIDY_MS);
      return;
    }
    const { untilMs, wakeAtMs } = changes;
    if (changes.untilChanged && untilMs !== undefined) alarm.armSweep(Math.max(untilMs, nowMs + 1));
    if (wakeAtMs !== undefined) records.addsTimer();
    if (changes.wakeChanged && wakeAtMs !== undefined) alarm.arm(Math.max(wakeAtMs, nowMs + 1));
  }
}
