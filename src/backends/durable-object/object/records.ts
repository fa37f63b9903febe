import type { Changes, Rows } from "../../../core/store.js";

/** Statements carry at most 100 bound parameters; one is the record's name, or an instant. */
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

/** How many records there are; when the first expires, or has expired; the first wake-up, and the first that is not due. */
interface Outlook {
  readonly count: number;
  readonly expiryMs: number | undefined;
  readonly wakeMs: number | undefined;
  readonly nextWakeMs: number | undefined;
}

/** The member under which the object keeps its own key prefix. No record is called so: their names hold a colon. */
const OWN = "";

/**
 * The records of one object, in SQLite. A row a head and a row a member, and no further index, so that an ack writes two
 * rows; what is due, or has expired, is found by looking through the heads.
 *
 * The tables are made by the first write: an object that was only asked holds nothing.
 */
export class SqliteRecords {
  readonly #storage: DurableObjectStorage;
  /** Whether the tables are there; `undefined`: nobody looked yet. */
  #made: boolean | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Runs `work` with all of its writes or, when it throws, none. */
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

  /** The records that are to be woken by now, the longest overdue first. */
  due(nowMs: number): string[] {
    const query = "SELECT name FROM records WHERE wake <= ? ORDER BY wake";
    return this.#select<{ name: string }>(query, nowMs).map(({ name }) => name);
  }

  /** The records that have a timer, the earliest first. */
  timed(): string[] {
    const query = "SELECT name FROM records WHERE wake IS NOT NULL ORDER BY wake";
    return this.#select<{ name: string }>(query).map(({ name }) => name);
  }

  /** Records that have expired, `limit` at most. */
  expired(nowMs: number, limit: number): string[] {
    const query = "SELECT name FROM records WHERE until <= ? LIMIT ?";
    return this.#select<{ name: string }>(query, nowMs, limit).map(({ name }) => name);
  }

  /** Removes those of the records that have expired. */
  sweep(records: readonly string[], nowMs: number): void {
    for (let i = 0; i < records.length; i += CHUNK) {
      const names = records.slice(i, i + CHUNK);
      // A record may have begun anew since it was looked up.
      const expired = `SELECT name FROM records WHERE name IN (${names.map(() => "?").join()}) AND until <= ?`;
      this.#exec(`DELETE FROM members WHERE record IN (${expired})`, ...names, nowMs);
      this.#exec(`DELETE FROM records WHERE name IN (${expired})`, ...names, nowMs);
    }
  }

  /** What the next alarm depends on, in one reading of the heads. */
  outlook(nowMs: number): Outlook {
    const [row] = this.#select<Record<"count" | "expiry" | "wake" | "next", number | null>>(OUTLOOK, nowMs);
    return {
      count: row?.count ?? 0,
      expiryMs: row?.expiry ?? undefined,
      wakeMs: row?.wake ?? undefined,
      nextWakeMs: row?.next ?? undefined,
    };
  }

  /** A text about the object itself, that lives as long as its tables. */
  get own(): string | undefined {
    const values = this.#readMembers(OWN, [OWN]);
    return values[0] === false ? undefined : values[0];
  }

  set own(value: string) {
    this.#make();
    this.#exec(PUT_MEMBER, OWN, OWN, value);
  }

  /** Removes everything, the tables too: the object ceases to exist. */
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
