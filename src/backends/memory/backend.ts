import { type InputOf, machineOf, type OutputOf, type TransitionName } from "../../core/registry.js";
import type { Changes, IndexLine, Rows } from "../../core/store.js";
import { Deliverer } from "../../delivery/deliverer.js";
import { BACKEND_KINDS } from "../../delivery/targets/registry.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import { DueHeap } from "../../lib/due-heap.js";
import { SharedClock } from "../../lib/shared-clock.js";
import { checkId } from "../../lib/validate.js";
import type {
  Backend,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
} from "../../runtime/backend.js";
import { type DueLine, drainQueue, PUT_OFF_MS } from "../../runtime/drain.js";
import { type Evaluation, evaluate, evaluationFailed } from "../../runtime/evaluate.js";
import { emitChanges, hookOrWarning, type OnEvent } from "../../runtime/events.js";
import { answerOf, itemsOf, type ListAnswer, type ListQuery } from "../../runtime/listing.js";
import { partsOfRecord, recordName } from "../../runtime/placement.js";
import { Waiters } from "../../runtime/waiters.js";
import { Wakers } from "../../runtime/wakers.js";
import { LineIndex, type MemoryLine } from "./line-index.js";
import type { MemoryOptions } from "./options.js";

interface MemoryRecord {
  head: string;
  readonly members: Map<string, string>;
  untilMs: number | undefined;
  wakeAtMs: number | undefined;
  /** Its line in the index. */
  line: MemoryLine | undefined;
  /** The times under which the record is in the heaps. */
  queuedUntilMs: number | undefined;
  queuedWakeMs: number | undefined;
}

/** How many expired records one write removes at most. A write adds at most one record, so this keeps up. */
const PRUNE_PER_WRITE = 2;
/** Heaps with fewer lines are not compacted. */
const COMPACT_FROM = 1_000;
/** How many records are woken concurrently. */
const WAKES_AT_ONCE = 32;
/** How many records are woken in one turn of the event loop, and how many lines are read for that. */
const WAKES_A_TURN = 64;
const LOOKS_A_TURN = 2_000;

/** Runs transitions in this process, wakes due records with one timer, and keeps records in a map. */
export class MemoryBackend implements Backend {
  readonly #clock: Clock;
  readonly #onEvent: OnEvent;
  readonly #records = new Map<string, MemoryRecord>();
  readonly #waiters: Waiters;
  readonly #wakers: Wakers;
  readonly #wakeHeap = new DueHeap();
  readonly #untilHeap = new DueHeap();
  readonly #index = new LineIndex();
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #isDraining = false;

  constructor({ clock = systemClock, onEvent: own }: Pick<MemoryOptions, "clock" | "onEvent"> = {}) {
    const onEvent = hookOrWarning(own, () => clock.now());
    this.#clock = clock;
    this.#onEvent = onEvent;
    this.#waiters = new Waiters({
      clock,
      sharedClock: new SharedClock(clock),
      isLocal: true,
      source: ({ transition, id, input }) => ({ look: () => this.#apply(transition, id, input) }),
      lookOnce: ({ transition, id, input }) => this.#apply(transition, id, input),
    });
    this.#wakers = new Wakers({
      run: (machine, recordId, input) => this.#apply(`${machine}.woken`, recordId, input),
      // Marks the roots of requests that wait for a group, when no tracker of this coordinator delivers.
      own: new Deliverer({ coordinator: this, kinds: BACKEND_KINDS, host: { groups: () => this, onEvent } }),
      clock,
      onEvent,
    });
  }

  /** How many records are in memory, with expired ones that were not removed yet. */
  get size(): number {
    return this.#records.size;
  }

  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    options.signal?.throwIfAborted();
    checkId(id, "id");
    return this.#apply(transition, id, input);
  }

  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#waiters.watch({ transition, id, input }, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#wakers.add(machine, wake);
  }

  /** Records that have expired and were not removed yet are not on the page. */
  async list(query: ListQuery, options: Pick<RunOptions, "signal"> = {}): Promise<ListAnswer> {
    options.signal?.throwIfAborted();
    const asOfMs = this.#clock.now();
    const page = this.#index.page(query, asOfMs);
    const items = await itemsOf({ ...page, lists: query.lists }, (id) => this.#apply(`${query.machine}.brief`, id, {}));
    return answerOf(items, { ...page, asOfMs });
  }

  #apply<N extends TransitionName>(transition: N, id: string, input: InputOf<N>): OutputOf<N> {
    const name = recordName(machineOf(transition), id);
    const nowMs = this.#clock.now();
    let evaluation: Evaluation<N>;
    try {
      evaluation = evaluate(transition, input, this.#rows(name), nowMs);
    } catch (error) {
      throw evaluationFailed(transition, error);
    }
    const { output, changes } = evaluation;
    if (changes.dirty) this.#commit(name, changes, nowMs);
    if (changes.notified) this.#waiters.notify(name, changes.topics);
    emitChanges(this.#onEvent, { machine: machineOf(transition), id }, changes.events);
    return output;
  }

  #rows(name: string): Rows {
    const record = this.#records.get(name);
    return {
      readHead: () => record?.head,
      read: (names) => names.map((member) => record?.members.get(member) ?? false),
    };
  }

  #commit(name: string, changes: Changes, nowMs: number): void {
    // Use the draft's time: a record that it read as alive must not be removed in part.
    this.#prune(nowMs);
    this.#compact();
    if (changes.cleared) this.#delete(name);
    let record = this.#records.get(name);
    if (record === undefined) {
      if (changes.head === undefined) return;
      record = {
        head: changes.head,
        members: new Map(),
        untilMs: undefined,
        wakeAtMs: undefined,
        line: undefined,
        queuedUntilMs: undefined,
        queuedWakeMs: undefined,
      };
      this.#records.set(name, record);
    }
    if (changes.head !== undefined) record.head = changes.head;
    for (const [i, member] of changes.names.entries()) {
      const value = changes.values[i];
      if (value === false || value === undefined) record.members.delete(member);
      else record.members.set(member, value);
    }
    record.untilMs = changes.untilMs;
    record.wakeAtMs = changes.wakeAtMs;
    this.#list(name, record, changes.line);
    this.#queue(name, record);
  }

  #delete(name: string): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    this.#list(name, record, undefined);
    this.#records.delete(name);
  }

  /** Moves the record's line in the index. */
  #list(name: string, record: MemoryRecord, line: IndexLine | undefined): void {
    const before = record.line;
    if (before?.list === line?.list && before?.atMs === line?.atMs) return;
    const { machine, id } = partsOfRecord(name);
    if (before !== undefined) this.#index.remove(machine, before);
    record.line = line === undefined ? undefined : this.#index.add(machine, id, line);
  }

  /** Adds a line for the record to each heap, at its time or earlier. A line that comes up too early is queued again. */
  #queue(name: string, record: MemoryRecord): void {
    const { untilMs, wakeAtMs } = record;
    if (untilMs !== undefined && (record.queuedUntilMs === undefined || untilMs < record.queuedUntilMs)) {
      record.queuedUntilMs = untilMs;
      this.#untilHeap.push(name, untilMs);
    }
    if (wakeAtMs !== undefined && (record.queuedWakeMs === undefined || wakeAtMs < record.queuedWakeMs)) {
      record.queuedWakeMs = wakeAtMs;
      this.#wakeHeap.push(name, wakeAtMs);
    }
    this.#arm();
  }

  /** Drops the lines of removed records, once they are the majority. */
  #compact(): void {
    if (this.#untilHeap.size + this.#wakeHeap.size <= 4 * this.#records.size + COMPACT_FROM) return;
    this.#untilHeap.clear();
    this.#wakeHeap.clear();
    for (const [name, record] of this.#records) {
      record.queuedUntilMs = undefined;
      record.queuedWakeMs = undefined;
      this.#queue(name, record);
    }
  }

  /** Removes a few expired records at each write, so that no long sweep blocks the event loop. */
  #prune(nowMs: number): void {
    for (let i = 0; i < PRUNE_PER_WRITE; i++) {
      const entry = this.#untilHeap.popDue(nowMs);
      if (entry === undefined) return;
      const record = this.#records.get(entry.name);
      if (record === undefined || record.queuedUntilMs !== entry.atMs) continue;
      record.queuedUntilMs = undefined;
      if (record.untilMs !== undefined && record.untilMs <= nowMs) this.#delete(entry.name);
      else this.#queue(entry.name, record);
    }
  }

  #arm(): void {
    const atMs = this.#wakeHeap.nextAtMs;
    if (this.#isDraining || atMs === undefined || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    const nowMs = this.#clock.now();
    // A due record keeps the process alive until its work is done, such as the callback of a group. A later timer is unref'd.
    const cancel = this.#clock.setTimer(() => void this.#drainDue(), atMs - nowMs, { background: atMs > nowMs });
    this.#timer = { atMs, cancel };
  }

  /** Wakes due records, some in each turn of the event loop. Deliveries continue after it. */
  async #drainDue(): Promise<void> {
    this.#timer = undefined;
    this.#isDraining = true;
    let isFirst = true;
    const queue = {
      take: async () => {
        if (!isFirst) await new Promise<void>((resolve) => this.#clock.setTimer(resolve, 0));
        isFirst = false;
        return this.#takeDue();
      },
      putOff: ({ machine, id }: DueLine) => this.#putOff(recordName(machine, id)),
      giveBack: () => {},
      outlook: () => ({ isDue: false, nextDueAtMs: undefined }),
    };
    await drainQueue(queue, {
      atOnce: WAKES_AT_ONCE,
      clock: this.#clock,
      wakers: this.#wakers,
      waitUntil: () => {},
    });
    this.#isDraining = false;
    this.#arm();
  }

  #takeDue(): DueLine[] | undefined {
    const nowMs = this.#clock.now();
    const lines: DueLine[] = [];
    for (let looks = 0; looks < LOOKS_A_TURN && lines.length < WAKES_A_TURN; looks++) {
      const entry = this.#wakeHeap.popDue(nowMs);
      if (entry === undefined) return lines.length > 0 ? lines : undefined;
      const { name, atMs } = entry;
      const record = this.#records.get(name);
      if (record === undefined || record.queuedWakeMs !== atMs) continue;
      record.queuedWakeMs = undefined;
      const { machine, id } = partsOfRecord(name);
      if ((record.wakeAtMs ?? nowMs + 1) <= nowMs) lines.push({ machine: machine as WakingMachine, id, atMs });
      else this.#queue(name, record);
    }
    return lines;
  }

  #putOff(name: string): void {
    const record = this.#records.get(name);
    if (record === undefined || record.queuedWakeMs !== undefined) return;
    record.queuedWakeMs = this.#clock.now() + PUT_OFF_MS;
    this.#wakeHeap.push(name, record.queuedWakeMs);
  }
}
