import {
  applyTransition,
  type InputOf,
  machineOf,
  type OutputOf,
  type TransitionName,
} from "../../src/core/registry.js";
import type { IndexLine } from "../../src/core/store.js";
import { type Draft, openDraft } from "../../src/core/transaction.js";
import { partsOfRecord, recordName } from "../../src/runtime/placement.js";
import { Told } from "./told.js";
import type { World } from "./world.js";

interface ServerRecord {
  head: string;
  members: Map<string, string>;
  untilMs: number | undefined;
  wakeAtMs: number | undefined;
  line: IndexLine | undefined;
}

/** Told of every step that was applied, in the order in which they were. */
export type Observer = (transition: TransitionName, id: string, input: unknown, output: unknown) => void;

/** The storage: one record an id, each step atomic, by the world's clock. Evicts what has expired, late and by chance. */
export class Server {
  readonly #world: World;
  readonly #observe: Observer;
  readonly #records = new Map<string, ServerRecord>();
  readonly #told = new Told();
  /** Called when a record's time to wake has come. */
  onDue: (machine: string, id: string) => void = () => {};
  /** Called when a step notifies the waiters of a record. */
  onNotify: (machine: string, id: string, topics: readonly string[]) => void = () => {};
  /** How far the server's clock is ahead of the world's. */
  aheadMs = 0;

  constructor(world: World, observe: Observer) {
    this.#world = world;
    this.#observe = observe;
  }

  /** How many records are stored that have not expired. */
  get alive(): number {
    const { nowMs } = this.#world;
    return [...this.#records.values()].filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs).length;
  }

  /** Every record's machine and id. */
  names(): (readonly [machine: string, id: string])[] {
    return [...this.#records.keys()].map((name) => machineAndId(name));
  }

  /** Where the index lists a record. */
  lineOf(name: string): IndexLine | undefined {
    const nowMs = this.#world.nowMs + this.aheadMs;
    const record = this.#records.get(name);
    return record?.untilMs !== undefined && record.untilMs <= nowMs ? undefined : record?.line;
  }

  /** Returns a group's status without a write; undefined when to read it ends the group. */
  statusOf(machine: string, id: string): OutputOf<"completion.status"> | undefined {
    const draft = this.#open(this.#records.get(recordName(machine, id)));
    const status = applyTransition(`${machine as "completion"}.status`, draft.store, {});
    return draft.changes().dirty ? undefined : copy(status);
  }

  #open(record: ServerRecord | undefined): Draft {
    const rows = {
      readHead: () => record?.head,
      read: (names: readonly string[]) => names.map((member) => record?.members.get(member) ?? (false as const)),
    };
    return openDraft(rows, this.#world.nowMs + this.aheadMs);
  }

  apply<N extends TransitionName>(transition: N, id: string, input: InputOf<N>): OutputOf<N> {
    const name = recordName(machineOf(transition), id);
    const record = this.#records.get(name);
    const draft = this.#open(record);
    // What a step is given and gives crosses a wire.
    const output = copy(applyTransition(transition, draft.store, copy(input)));
    const changes = draft.changes();
    this.#told.see(name, changes);
    if (changes.dirty) {
      if (changes.cleared) this.#records.delete(name);
      if (changes.head !== undefined) {
        const members = changes.cleared || record === undefined ? new Map<string, string>() : record.members;
        for (const [i, member] of changes.names.entries()) {
          const value = changes.values[i];
          if (typeof value === "string") members.set(member, value);
          else members.delete(member);
        }
        const { head, untilMs, wakeAtMs, line } = changes;
        this.#records.set(name, { head, members, untilMs, wakeAtMs, line });
        if (wakeAtMs !== undefined) this.#ring(name, wakeAtMs);
      }
    }
    this.#observe(transition, id, input, output);
    if (changes.notified) this.onNotify(machineOf(transition), id, changes.topics);
    return output;
  }

  /** Rings at the record's time, or late, and again and again while it stays due: as an alarm, or a schedule that drains. */
  #ring(name: string, atMs: number): void {
    const world = this.#world;
    const lateMs = world.chance(0.9) ? world.below(50) : world.below(60_000);
    world.after(Math.max(0, atMs - world.nowMs - this.aheadMs) + lateMs, () => {
      const record = this.#records.get(name);
      // The timer was set to another time meanwhile.
      if (record?.wakeAtMs !== atMs) return;
      const nowMs = world.nowMs + this.aheadMs;
      if (record.untilMs !== undefined && record.untilMs <= nowMs) return;
      // The clock was set back meanwhile.
      if (atMs > nowMs) {
        this.#ring(name, atMs);
        return;
      }
      this.onDue(...machineAndId(name));
      world.after(2_000 + world.below(20_000), () => {
        if (this.#records.get(name)?.wakeAtMs === atMs) this.#ring(name, atMs);
      });
    });
  }
}

function machineAndId(name: string): [machine: string, id: string] {
  const { machine, id } = partsOfRecord(name);
  return [machine, id];
}

function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
