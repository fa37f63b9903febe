import { LISTED_DELIVERIES, LISTED_STATES, listOf } from "../../../core/group/listing.js";
import {
  compareLines,
  type ListCount,
  type ListedMachine,
  type ListQuery,
  MAX_COUNTED,
} from "../../../runtime/listing.js";
import { recordName } from "../../../runtime/placement.js";
import type { IndexMessage, IndexPage, LineRow } from "../protocol.js";
import type { ShardState } from "./shard-map.js";

const CREATE =
  "CREATE TABLE lines (name TEXT PRIMARY KEY, list INTEGER, at INTEGER, until INTEGER, sent INTEGER, brief TEXT) WITHOUT ROWID";
const CREATE_INDEX = "CREATE INDEX lines_by_place ON lines (list, at, name)";
const PUT =
  "INSERT INTO lines (name, list, at, until, sent, brief) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET " +
  "list = excluded.list, at = excluded.at, until = excluded.until, sent = excluded.sent, brief = excluded.brief " +
  "WHERE excluded.sent > lines.sent";

const PUT_STATE =
  "INSERT INTO lines (name, list, at, until, sent, brief) VALUES (?, -1, 0, 9007199254740991, 0, ?) " +
  "ON CONFLICT DO UPDATE SET brief = excluded.brief";

const EXPIRED = "SELECT name FROM lines WHERE name > ? AND until <= ? ORDER BY name LIMIT ?";
const SWEEP = "DELETE FROM lines WHERE name > ? AND name <= ? AND until <= ?";
/** How many expired lines are removed at a time. */
const MAX_SWEPT = 500;

/** Reads no more lines than it counts. */
const COUNT =
  "SELECT COUNT(*) AS count, MIN(at) AS oldest FROM (SELECT at FROM lines WHERE list = ? AND until > ? ORDER BY at LIMIT ?)";
/** The open groups, and the ended ones that owe a delivery. The number of all that ended says how long they are kept. */
const COUNTED = LISTED_STATES.flatMap((state) =>
  LISTED_DELIVERIES.filter((delivery) => state === "open" || delivery !== "none").map((delivery) =>
    listOf(state, delivery),
  ),
);

/** The lists of one machine have numbers of their own. */
const LISTS_A_MACHINE = 100;
/** No list: a removed record. Its line stays for a while, so that a late copy of an earlier message does not restore it. */
const NO_LIST = -1;

/** A larger shard takes no further records: some millions, at 300 to 600 bytes each. An object can hold 10 GB. */
export const MAX_BYTES = 1_000_000_000;

/** The name of the row with what a shard knows. It is before all others in the order of names, and in no list. */
export const SHARD_ROW = ":shard";

type Row = { readonly name: string; readonly at: number; readonly brief: string };

/** The lines of an index object, in a table of its own. */
export class LineTable {
  readonly #storage: DurableObjectStorage;
  #exists: boolean | undefined;
  /** The last line that this round of sweeps has removed; empty between rounds. */
  #sweptTo = "";
  /** `null`: not looked up yet. */
  #state: ShardState | undefined | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Whether this object is an index. */
  get exists(): boolean {
    this.#exists ??= this.#select("SELECT name FROM sqlite_master WHERE name = 'lines'").length > 0;
    return this.#exists;
  }

  /** The shard's place in its index; `undefined` while the index has one shard. */
  get state(): ShardState | undefined {
    if (this.#state === null) {
      const [row] = this.exists
        ? this.#select<{ brief: string }>("SELECT brief FROM lines WHERE name = ?", SHARD_ROW)
        : [];
      this.#state = row === undefined ? undefined : JSON.parse(row.brief);
    }
    return this.#state ?? undefined;
  }

  set state(state: ShardState) {
    this.#create();
    this.#storage.sql.exec(PUT_STATE, SHARD_ROW, JSON.stringify(state));
    this.#state = state;
  }

  get bytes(): number {
    return this.#storage.sql.databaseSize;
  }

  /** Whether no record has a line. */
  get isEmpty(): boolean {
    return !this.exists || this.names(SHARD_ROW, { limit: 1 }).length === 0;
  }

  /**
   * Stores a line, unless a line of the record that was sent later has arrived. Returns when the line that the index has now
   * was sent.
   */
  put({ machine, id, line, untilMs, sentAtMs, brief }: IndexMessage): number {
    this.#create();
    const name = recordName(machine, id);
    // Nothing to remove, and no room to remember it.
    if (line === undefined && this.bytes >= MAX_BYTES && !this.has(name)) return sentAtMs;
    const list = line === undefined ? NO_LIST : numberOf(machine, line.list);
    const place = [list, line?.atMs ?? 0, untilMs, sentAtMs, JSON.stringify(brief ?? null)];
    this.#storage.sql.exec(PUT, name, ...place);
    return this.#select<{ sent: number }>("SELECT sent FROM lines WHERE name = ?", name)[0]?.sent ?? sentAtMs;
  }

  has(name: string): boolean {
    return this.exists && this.#select("SELECT name FROM lines WHERE name = ?", name).length > 0;
  }

  /** Returns names of lines in their order, behind `after`. */
  names(after: string, { upTo, limit }: { readonly upTo?: string | undefined; readonly limit: number }): string[] {
    const [until, values] = upTo === undefined ? ["", []] : [" AND name <= ?", [upTo]];
    const query = `SELECT name FROM lines WHERE name > ?${until} ORDER BY name LIMIT ?`;
    return this.#select<{ name: string }>(query, after, ...values, limit).map(({ name }) => name);
  }

  /** Returns the rows of the lines with these names, as far as they exist. */
  rows(names: readonly string[]): LineRow[] {
    return names.flatMap((name) => this.#select<LineRow>("SELECT * FROM lines WHERE name = ?", name));
  }

  /** Stores lines that another shard had, unless later ones have arrived. */
  take(rows: readonly LineRow[]): void {
    for (const { name, list, at, until, sent, brief } of rows)
      this.#storage.sql.exec(PUT, name, list, at, until, sent, brief);
  }

  remove(names: readonly string[]): void {
    for (const name of names) this.#storage.sql.exec("DELETE FROM lines WHERE name = ?", name);
  }

  /** Returns a page of the lines that have not expired. */
  page({ machine, lists, order, after, olderThanMs, limit }: ListQuery, nowMs: number): IndexPage {
    if (!this.exists) return { lines: [], isCut: false };
    const [sign, direction] = order === "oldest" ? [">", "ASC"] : ["<", "DESC"];
    const goesOn = after === undefined ? "" : `AND (at, name) ${sign} (?, ?)`;
    const query =
      `SELECT name, at, brief FROM lines WHERE list = ? AND at <= ? AND until > ? ${goesOn} ` +
      `ORDER BY at ${direction}, name ${direction} LIMIT ?`;
    const place = after === undefined ? [] : [after.atMs, recordName(machine, after.id)];
    const found = lists.flatMap((list) =>
      this.#select<Row>(query, numberOf(machine, list), nowMs - olderThanMs, nowMs, ...place, limit + 1).map(
        ({ name, at, brief }) => ({ list, atMs: at, id: name.slice(machine.length + 1), brief: JSON.parse(brief) }),
      ),
    );
    found.sort((a, b) => compareLines(a, b, order));
    return { lines: found.slice(0, limit), isCut: found.length > limit };
  }

  /** Returns how many lines the lists hold that need attention or may need it. */
  counts(nowMs: number): ListCount[] {
    if (!this.exists) return [];
    return (["completion", "request"] as const).flatMap((machine) =>
      COUNTED.flatMap((list): ListCount[] => {
        const place = [numberOf(machine, list), nowMs, MAX_COUNTED];
        const [row] = this.#select<{ count: number; oldest: number }>(COUNT, ...place);
        return row === undefined || row.count === 0
          ? []
          : [{ machine, list, count: row.count, oldestAtMs: row.oldest }];
      }),
    );
  }

  /**
   * Removes lines of expired records, at most 500. Returns `more` when the next call should go on, else whether any line is
   * left. No index finds them, because it would cost each message a row. So the calls of one round go through the table once.
   */
  sweep(nowMs: number): "more" | "some" | "none" {
    const expired = this.#select<{ name: string }>(EXPIRED, this.#sweptTo, nowMs, MAX_SWEPT);
    const last = expired.at(-1)?.name;
    if (last !== undefined) this.#storage.sql.exec(SWEEP, this.#sweptTo, last, nowMs);
    const isMore = last !== undefined && expired.length === MAX_SWEPT;
    this.#sweptTo = isMore ? last : "";
    if (isMore) return "more";
    return this.isEmpty ? "none" : "some";
  }

  /** Deletes everything: the object ceases to exist. */
  drop(): void {
    this.#exists = undefined;
    this.#state = undefined;
    void this.#storage.deleteAll();
  }

  #create(): void {
    if (this.exists) return;
    this.#storage.sql.exec(CREATE);
    this.#storage.sql.exec(CREATE_INDEX);
    this.#exists = true;
  }

  #select<Found extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): Found[] {
    return this.#storage.sql.exec<Found>(query, ...values).toArray();
  }
}

function numberOf(machine: ListedMachine, list: number): number {
  return (machine === "request" ? LISTS_A_MACHINE : 0) + list;
}
