import { systemClock } from "../clock.js";
import type { RunOptions, Wake, WakingMachine, WatchableTransition, Watched, WatchOptions } from "../coordinator.js";
import { openDraft } from "../draft.js";
import { CoordinationError } from "../errors.js";
import { applyTransition, type InputOf, machineOf, type OutputOf, type TransitionName } from "../machines/index.js";
import { TransitionRefused } from "../platform.js";
import { Primitives } from "../primitives.js";
import type { Changes } from "../store.js";
import { recordName } from "../tags.js";
import { Watchers } from "../watchers.js";
import type { ObjectAlarm } from "./alarm.js";
import type { SqliteRecords } from "./records.js";

/** How long an emptied object without any timer stays, in case it is written to again. */
const TIDY_MS = 10_000;

export interface LocalOptions {
  readonly records: SqliteRecords;
  readonly alarm: ObjectAlarm;
  readonly now: () => number;
  /** Called in the transaction that makes the tables. */
  readonly onFirstWrite: () => void;
}

/** The coordinator of one object's own records: what runs inside it, without a round trip. */
export class LocalCoordinator extends Primitives {
  readonly isDistributed = true;
  readonly defaultTtlSec = 0;
  readonly #options: LocalOptions;
  readonly #watchers: Watchers;
  readonly #wakes = new Map<string, Set<Wake<WakingMachine>>>();

  constructor(options: LocalOptions) {
    super();
    this.#options = options;
    this.#watchers = new Watchers({ now: options.now, setTimer: systemClock.setTimer });
  }

  /** How many watches wait. */
  get watching(): number {
    return this.#watchers.size;
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
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.look(transition, id, () => this.apply(transition, id, input) as OutputOf<N> & Watched, options);
  }

  /** Waits with a look of the caller's own. */
  look<Output extends Watched>(
    transition: TransitionName,
    id: string,
    look: () => Output,
    options: WatchOptions,
  ): Promise<Output> {
    return this.#watchers.watch(recordName(machineOf(transition), id), look, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    const wakes = this.#wakes.get(machine) ?? new Set();
    this.#wakes.set(machine, wakes.add(wake));
    return () => wakes.delete(wake);
  }

  wakesOf(machine: string): readonly Wake<WakingMachine>[] {
    return [...(this.#wakes.get(machine) ?? [])];
  }

  /**
   * Runs one transition, commits it together with the alarm that it needs, and has those look who wait for the record.
   *
   * @throws {CoordinationError} `backend_rejected` when the transition fails; nothing is written.
   */
  apply<N extends TransitionName>(transition: N, id: string, input: InputOf<N>): OutputOf<N> {
    const { records, now, onFirstWrite } = this.#options;
    const record = recordName(machineOf(transition), id);
    const nowMs = now();
    let changes: Changes;
    let output: OutputOf<N>;
    try {
      [output, changes] = records.transaction(() => {
        const draft = openDraft(records.rows(record), nowMs);
        const result = applyTransition(transition, draft.store, input);
        const made = draft.changes();
        if (made.dirty) {
          if (!records.exists) onFirstWrite();
          records.commit(record, made);
        }
        return [result, made];
      });
    } catch (error) {
      const reason = error instanceof TransitionRefused ? error.reason : "the transition failed";
      throw new CoordinationError("backend_rejected", `${transition}: ${reason}`, { cause: error });
    }
    this.#arm(changes, nowMs);
    if (changes.notified) this.#watchers.notify(record);
    return output;
  }

  #arm(changes: Changes, nowMs: number): void {
    const { alarm } = this.#options;
    if (changes.head === undefined) {
      if (changes.cleared && !alarm.isStanding) alarm.set(nowMs + TIDY_MS);
      return;
    }
    const { untilMs, wakeAtMs } = changes;
    if (changes.untilChanged && untilMs !== undefined) alarm.arm(Math.max(untilMs, nowMs + 1));
    if (changes.wakeChanged && wakeAtMs !== undefined) alarm.arm(Math.max(wakeAtMs, nowMs + 1));
  }
}
