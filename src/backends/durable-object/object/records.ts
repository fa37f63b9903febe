import { CHUNK, MemberRows } from "./member-rows.js";
import { ROW_CHARS } from "./packed-members.js";
import { SqliteRecord } from "./record.js";
import { INDEX_MARK, OWN, Tables } from "./tables.js";

const OUTLOOK =
  "SELECT count(*) AS count, min(until) AS expiry, min(wake) AS wake, " +
  "min(wake) FILTER (WHERE wake > ?) AS next FROM records WHERE name <> ?";

/** The number of records, the first expiry, the first wake time, and the first wake time in the future. */
interface Outlook {
  readonly count: number;
  readonly expiryMs: number | undefined;
  readonly wakeMs: number | undefined;
  readonly nextWakeMs: number | undefined;
}

/**
 * The records of one object, in SQLite: one row for a record of up to 32 KB, else one row for its head and one for each
 * member. There is no further index, so an ack writes one row. A scan finds due and expired records, and reads neither heads
 * nor members.
 *
 * The first write creates the tables: an object that has only been read stores nothing.
 */
export class SqliteRecords {
  readonly #tables: Tables;
  readonly #rows: MemberRows;
  readonly #rowChars: number;
  /** False: no record has a timer, so a search for due records need not scan. */
  #mayHaveTimers = true;

  /** @param rowChars the largest row of a record, in UTF-16 units. */
  constructor(storage: DurableObjectStorage, rowChars = ROW_CHARS) {
    this.#tables = new Tables(storage);
    this.#rows = new MemberRows(this.#tables);
    this.#rowChars = rowChars;
  }

  /** Runs `work` in a transaction: when it throws, none of its writes are kept. */
  transaction<Result>(work: () => Result): Result {
    return this.#tables.transaction(work);
  }

  /** Opens a record for one transaction. */
  open(record: string): SqliteRecord {
    return new SqliteRecord(record, this.#tables, this.#rows, this.#rowChars);
  }

  /** Returns the records that are due, the longest overdue first. */
  due(nowMs: number): string[] {
    if (!this.#mayHaveTimers) return [];
    return this.#names("SELECT name FROM records WHERE wake <= ? ORDER BY wake", nowMs);
  }

  /** Returns the records that have a timer, the earliest first. */
  timed(): string[] {
    if (!this.#mayHaveTimers) return [];
    return this.#names("SELECT name FROM records WHERE wake IS NOT NULL ORDER BY wake");
  }

  /** Returns records that have expired, at most `limit`. */
  expired(nowMs: number, limit: number): string[] {
    return this.#names("SELECT name FROM records WHERE until <= ? LIMIT ?", nowMs, limit);
  }

  /** Removes those of the given records that have expired. */
  sweep(records: readonly string[], nowMs: number): void {
    for (let i = 0; i < records.length; i += CHUNK) {
      const names = records.slice(i, i + CHUNK);
      // A record may have been created again since it was looked up.
      const expired = `SELECT name FROM records WHERE name IN (${names.map(() => "?").join()}) AND until <= ?`;
      if (this.#tables.hasMembers)
        this.#tables.exec(`DELETE FROM members WHERE record IN (${expired})`, ...names, nowMs);
      this.#tables.exec(`DELETE FROM records WHERE name IN (${expired})`, ...names, nowMs);
    }
  }

  /** A record with a timer was written. */
  addsTimer(): void {
    this.#mayHaveTimers = true;
  }

  /** Returns what the next alarm depends on, with one scan of the records. */
  outlook(nowMs: number): Outlook {
    type Row = Record<"count" | "expiry" | "wake" | "next", number | null>;
    const [row] = this.#tables.select<Row>(OUTLOOK, nowMs, OWN);
    this.#mayHaveTimers = (row?.wake ?? null) !== null;
    return {
      count: row?.count ?? 0,
      expiryMs: row?.expiry ?? undefined,
      wakeMs: row?.wake ?? undefined,
      nextWakeMs: row?.next ?? undefined,
    };
  }

  /** A text about the object itself, kept as long as its tables. */
  get own(): string | undefined {
    return this.#tables.select<{ head: string }>("SELECT head FROM records WHERE name = ?", OWN)[0]?.head;
  }

  set own(head: string) {
    this.#tables.create();
    this.#tables.exec("INSERT OR REPLACE INTO records (name, head) VALUES (?, ?)", OWN, head);
  }

  /** The record whose line the index waits for. */
  get marked(): string | undefined {
    return this.#tables.select<{ head: string }>("SELECT head FROM records WHERE name = ?", INDEX_MARK)[0]?.head;
  }

  /** The instant of the oldest change that the index waits for. */
  get markedAtMs(): number | undefined {
    const [row] = this.#tables.select<{ packed: string | null }>(
      "SELECT packed FROM records WHERE name = ?",
      INDEX_MARK,
    );
    return row === undefined || row.packed === null ? undefined : Number(row.packed);
  }

  /** Marks that the index waits for the record's line. An earlier mark stays. An object has one such record. */
  mark(record: string, tellAtMs: number, changedAtMs: number): void {
    this.#tables.exec(
      "INSERT OR IGNORE INTO records (name, wake, head, packed) VALUES (?, ?, ?, ?)",
      INDEX_MARK,
      tellAtMs,
      record,
      String(changedAtMs),
    );
  }

  /** Tells later. With `changedAtMs` the index has all changes up to then. */
  postponeMark(tellAtMs: number, changedAtMs?: number): void {
    const since = changedAtMs === undefined ? null : String(changedAtMs);
    const postpone = "UPDATE records SET wake = ?, packed = coalesce(?, packed) WHERE name = ?";
    this.#tables.exec(postpone, tellAtMs, since, INDEX_MARK);
  }

  unmark(): void {
    this.#tables.exec("DELETE FROM records WHERE name = ?", INDEX_MARK);
  }

  /** When a record expires; `undefined` when there is none, or when it does not expire. */
  untilOf(record: string): number | undefined {
    type Row = { until: number | null };
    return this.#tables.select<Row>("SELECT until FROM records WHERE name = ?", record)[0]?.until ?? undefined;
  }

  /** Deletes everything, with the tables: the object ceases to exist. */
  forget(): void {
    this.#tables.drop();
  }

  get exists(): boolean {
    return this.#tables.exist;
  }

  #names(query: string, ...values: SqlStorageValue[]): string[] {
    return this.#tables.select<{ name: string }>(query, ...values).map(({ name }) => name);
  }
}
