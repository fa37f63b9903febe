import type { Changes, Rows } from "../../../core/store.js";

/** Statements take at most 100 bound parameters. One is the record's name, or a time. */
const CHUNK = 99;

const SCHEMA = [
  "CREATE TABLE records (name TEXT PRIMARY KEY, head TEXT NOT NULL, until INTEGER, wake INTEGER) WITHOUT ROWID",
  "CREATE TABLE members (record TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (record, name)) WITHOUT ROWID",
];

const PUT_RECORD =
  "INSERT INTO records VALUES (?, ?, ?, ?) " +
  "ON CONFLICT DO UPDATE SET head = excluded.head, until = excluded.until, wake = excluded.wake";
const PUT_MEMBER = "INSERT INTO members VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";

const OUTLOOK =
  "SELECT count(*) AS count, min(until) AS expiry, min(wake) AS wake, " +
  "min(wake) FILTER (WHERE wake > ?) AS next FROM records";

/** The number of records, the first expiry, the first wake time, and the first wake time in the future. */
interface Outlook {
  readonly count: number;
  readonly expiryMs: number | undefined;
  readonly wakeMs: number | undefined;
  readonly nextWakeMs: number | undefined;
}

/** The record name under which the object stores its own key prefix. No other record has this name: names hold a colon. */
const OWN = "";

/**
 * The records of one object, in SQLite: one row for a head and one row for a member. There is no further index, so an ack
 * writes two rows. A scan of the heads finds due and expired records.
 *
 * The first write creates the tables: an object that has only been read stores nothing.
 */
export class SqliteRecords {
  readonly #storage: DurableObjectStorage;
  /** Whether the tables exist; `undefined`: not checked yet. */
  #made: boolean | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Runs `work` in a transaction: when it throws, none of its writes are kept. */
  transaction<Result>(work: () => Result): Result {
    try {
      return this.#storage.transactionSync(work);
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }

  rows(record: string): Rows {
    return {
      readHead: () => {
        const row = this.#select<{ head: string }>("SELECT head FROM records WHERE name = ?", record)[0];
        return row?.head;
      },
      read: (names) => this.#readMembers(record, names),
    };
  }

  commit(record: string, changes: Changes): void {
    this.#make();
    const { head, names, values } = changes;
    if (changes.cleared) this.#remove(record, head === undefined);
    if (head !== undefined) {
      this.#exec(PUT_RECORD, record, head, changes.untilMs ?? null, changes.wakeAtMs ?? null);
    }
    for (const [i, name] of names.entries()) {
      const value = values[i];
      if (typeof value === "string") this.#exec(PUT_MEMBER, record, name, value);
      else if (!changes.cleared) this.#exec("DELETE FROM members WHERE record = ? AND name = ?", record, name);
    }
  }

  /** Returns the records that are due, the longest overdue first. */
  due(nowMs: number): string[] {
    const query = "SELECT name FROM records WHERE wake <= ? ORDER BY wake";
    return this.#select<{ name: string }>(query, nowMs).map(({ name }) => name);
  }

  /** Returns the records that have a timer, the earliest first. */
  timed(): string[] {
    const query = "SELECT name FROM records WHERE wake IS NOT NULL ORDER BY wake";
    return this.#select<{ name: string }>(query).map(({ name }) => name);
  }

  /** Returns records that have expired, at most `limit`. */
  expired(nowMs: number, limit: number): string[] {
    const query = "SELECT name FROM records WHERE until <= ? LIMIT ?";
    return this.#select<{ name: string }>(query, nowMs, limit).map(({ name }) => name);
  }

  /** Removes those of the given records that have expired. */
  sweep(records: readonly string[], nowMs: number): void {
    for (let i = 0; i < records.length; i += CHUNK) {
      const names = records.slice(i, i + CHUNK);
      // A record may have been created again since it was looked up.
      const expired = `SELECT name FROM records WHERE name IN (${names.map(() => "?").join()}) AND until <= ?`;
      this.#exec(`DELETE FROM members WHERE record IN (${expired})`, ...names, nowMs);
      this.#exec(`DELETE FROM records WHERE name IN (${expired})`, ...names, nowMs);
    }
  }

  /** Returns what the next alarm depends on, with one scan of the heads. */
  outlook(nowMs: number): Outlook {
    const [row] = this.#select<Record<"count" | "expiry" | "wake" | "next", number | null>>(OUTLOOK, nowMs);
    return {
      count: row?.count ?? 0,
      expiryMs: row?.expiry ?? undefined,
      wakeMs: row?.wake ?? undefined,
      nextWakeMs: row?.next ?? undefined,
    };
  }

  /** A text about the object itself, kept as long as its tables. */
  get own(): string | undefined {
    const values = this.#readMembers(OWN, [OWN]);
    return values[0] === false ? undefined : values[0];
  }

  set own(value: string) {
    this.#make();
    this.#exec(PUT_MEMBER, OWN, OWN, value);
  }

  /** Deletes everything, with the tables: the object ceases to exist. */
  forget(): void {
    this.#made = undefined;
    void this.#storage.deleteAll();
  }

  get exists(): boolean {
    this.#made ??= this.#storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'records'").toArray().length > 0;
    return this.#made;
  }

  #make(): void {
    if (this.exists) return;
    for (const statement of SCHEMA) this.#exec(statement);
    this.#made = true;
  }

  #readMembers(record: string, names: readonly string[]): (string | false)[] {
    const found = new Map<string, string>();
    for (let i = 0; i < names.length; i += CHUNK) {
      const chunk = names.slice(i, i + CHUNK);
      const marks = chunk.map(() => "?").join();
      const query = `SELECT name, value FROM members WHERE record = ? AND name IN (${marks})`;
      for (const { name, value } of this.#select<{ name: string; value: string }>(query, record, ...chunk)) {
        found.set(name, value);
      }
    }
    return names.map((name) => found.get(name) ?? false);
  }

  #remove(record: string, withHead: boolean): void {
    this.#exec("DELETE FROM members WHERE record = ?", record);
    if (withHead) this.#exec("DELETE FROM records WHERE name = ?", record);
  }

  #select<Row extends Record<string, SqlStorageValue>>(query: string, ...values: SqlStorageValue[]): Row[] {
    return this.exists ? this.#storage.sql.exec<Row>(query, ...values).toArray() : [];
  }

  #exec(statement: string, ...values: SqlStorageValue[]): void {
    this.#storage.sql.exec(statement, ...values);
  }
}
