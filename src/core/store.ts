/**
 * The one record that a transition can access, and nothing else.
 *
 * A record has a *head* and *members*. The head is a small object of control fields, read once and written once.
 * Members are named texts for what may be large: tasks, results, list items. Head and members expire together, so a
 * record is never partly evicted. Writes are buffered and committed when the transition returns. A transition that
 * throws leaves the record unchanged, on every backend.
 *
 * Head, input and output must mean the same as JavaScript values and as Lua tables. They hold no `null`, no `undefined`
 * inside an array, no empty object, and numbers below 10^14. Values from users are carried as text.
 *
 * @noSelf (for the Lua build: its functions take no `self`)
 */
export interface Store {
  /** The time of the deciding server, in milliseconds since 1970. */
  readonly nowMs: number;
  /**
   * Returns the control fields; `undefined` when the record does not exist or has expired. Changes to the object are
   * stored by `put`.
   */
  head<Head extends object>(): Head | undefined;
  put(head: object): void;
  get(name: string): string | undefined;
  /** Reads many members at once. A later `get` of one of them costs nothing. */
  load(names: readonly string[]): void;
  set(name: string, value: string): void;
  remove(name: string): void;
  /** Removes the record with all its members. Later writes of the same transition start a new record. */
  clear(): void;
  /**
   * Sets when the whole record expires; `undefined`: never. With `slackMs` the record may live that much longer: an
   * expiry between `atMs` and `atMs + slackMs` stays, else the later one is set. So a record that is extended often
   * moves its expiry seldom.
   */
  keepUntil(atMs: number | undefined, slackMs?: number): void;
  /**
   * Sets when the machine's `woken` transition runs; `undefined`: never. With `maybeSooner` an earlier wake-up that is
   * still in the future stays, and its transition sets the next one.
   */
  wakeAt(atMs: number | undefined, maybeSooner?: boolean): void;
  /** Sets the record's line in the index of its machine; `undefined`: the index does not list it. */
  list(line: IndexLine | undefined): void;
  /** Notifies the waiters of this record. With `topic`, only those whose input has this `op`. */
  notify(topic?: string): void;
  /** Reports a change of state to the owner of the data, with the writes of this transition: not if they are refused. */
  tell(event: RecordEvent): void;
  /** Discards all writes of this transition, for one that refuses after it began to write. */
  discard(): void;
}

/** A change of a group's state, for logs and metrics. Holds no text of a caller. */
export type RecordEvent = RegisteredRecord | EndedRecord;

export interface RegisteredRecord {
  type: "registered";
  generation: number;
  total: number;
}

export interface EndedRecord {
  type: "ended";
  generation: number;
  state: "completed" | "failed" | "timed_out" | "cancelled";
  reason: string;
  total: number;
  succeeded: number;
  failed: number;
}

/** Where the index of a machine lists a record: one line in one list, ordered by an instant. */
export interface IndexLine {
  /** The number of the list: 0 to 19. `group/listing.ts` says what each holds. */
  list: number;
  atMs: number;
}

/** A machine's step: reads, decides and writes one record, without waiting. It runs where the data is, in one round trip. */
export type Transition<Input, Output> = (store: Store, input: Input) => Output;

/**
 * One record as a backend stores it. A draft reads from it.
 *
 * @noSelf
 */
export interface Rows {
  readHead(): string | undefined;
  /** Returns the members' texts in the order of the names; `false` for a member that is missing. */
  read(names: readonly string[]): (string | false)[];
}

/** The writes of a transition. A backend commits all of them or none. */
export interface Changes {
  /** False: there is nothing to write. */
  readonly dirty: boolean;
  /** The backend removes everything that was stored before. */
  readonly cleared: boolean;
  /** The new head. `undefined`: the old one stays, or, when `cleared`, none is left. */
  readonly head: string | undefined;
  readonly names: readonly string[];
  /** `false` removes the member. */
  readonly values: readonly (string | false)[];
  readonly untilMs: number | undefined;
  readonly untilChanged: boolean;
  readonly wakeAtMs: number | undefined;
  readonly wakeChanged: boolean;
  readonly line: IndexLine | undefined;
  readonly lineChanged: boolean;
  readonly notified: boolean;
  /** The only waiters that are notified. Empty: all. */
  readonly topics: readonly string[];
  /** The backend reports them once the writes are stored. */
  readonly events: readonly RecordEvent[];
}
