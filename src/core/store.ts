/**
 * What a transition may touch: the one record of its id, and nothing else.
 *
 * A record has a *head* (a small object of control fields, read once and written once) and *members* (named texts, for
 * what may be large: tasks, results, list items). Both live and die together, so that nothing is ever evicted by halves.
 * Writes are kept aside and committed when the transition returns: one that throws leaves the record as it was, in
 * every backend alike.
 *
 * Rules for a head, an input and an output, so that they mean the same as JavaScript values and as Lua tables: no
 * `null`, no `undefined` inside an array, no empty object, numbers below 10^14. What a user sends is carried as text.
 *
 * @noSelf (for the Lua build: its functions take no `self`)
 */
export interface Store {
  /** The time of the server that decides, in milliseconds since 1970. */
  readonly nowMs: number;
  /** The control fields; `undefined` when there is no record, or it has expired. Changes count once they are `put`. */
  head<Head extends object>(): Head | undefined;
  put(head: object): void;
  get(name: string): string | undefined;
  /** Reads many members at once; later `get`s of them cost nothing. */
  load(names: readonly string[]): void;
  set(name: string, value: string): void;
  remove(name: string): void;
  /** Drops the record with all its members; what is written afterwards begins a new one. */
  clear(): void;
  /**
   * Sets the instant at which the whole record expires; `undefined` keeps it. With `slackMs` the record may live so much
   * longer: an expiry in that span stays, else the span's end is set. A record that is put off often moves its expiry seldom.
   */
  keepUntil(atMs: number | undefined, slackMs?: number): void;
  /**
   * Sets the instant at which the machine's `woken` runs; `undefined` for none. With `maybeSooner` an earlier wake-up that
   * is still to come stays, and the step that runs then sets the next one.
   */
  wakeAt(atMs: number | undefined, maybeSooner?: boolean): void;
  /** Tells those who watch this record to look again. */
  notify(): void;
  /** Forgets all that this transition wrote: for one that refuses after having begun. */
  discard(): void;
}

/** A machine's step: reads, decides and writes one record, without waiting. Runs in one round trip where the data is. */
export type Transition<Input, Output> = (store: Store, input: Input) => Output;

/**
 * One record as a backend stores it: what a draft reads from.
 *
 * @noSelf
 */
export interface Rows {
  readHead(): string | undefined;
  /** The members' texts in the order of the names; `false` for one that is not there. */
  read(names: readonly string[]): (string | false)[];
}

/** What a transition did to its record: what a backend commits, all of it or none. */
export interface Changes {
  /** Nothing to write when false. */
  readonly dirty: boolean;
  /** Everything that was stored before goes first. */
  readonly cleared: boolean;
  /** The new head; `undefined`: the old one stays (or, when `cleared`, none is left). */
  readonly head: string | undefined;
  readonly names: readonly string[];
  /** `false` removes the member. */
  readonly values: readonly (string | false)[];
  readonly untilMs: number | undefined;
  readonly untilChanged: boolean;
  readonly wakeAtMs: number | undefined;
  readonly wakeChanged: boolean;
  readonly notified: boolean;
}
