import type { Tables } from "./tables.js";

/** Statements take at most 100 bound parameters. One is the record's name, or a time. */
export const CHUNK = 99;

const PUT = "INSERT INTO members VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";

/** The members of records that have a row of their own. */
export class MemberRows {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** Returns the values of those of the members that have a row. */
  read(record: string, names: readonly string[]): Map<string, string> {
    const found = new Map<string, string>();
    if (!this.#tables.hasMembers) return found;
    for (let i = 0; i < names.length; i += CHUNK) {
      const chunk = names.slice(i, i + CHUNK);
      const marks = chunk.map(() => "?").join();
      const query = `SELECT name, value FROM members WHERE record = ? AND name IN (${marks})`;
      for (const { name, value } of this.#tables.select<{ name: string; value: string }>(query, record, ...chunk)) {
        found.set(name, value);
      }
    }
    return found;
  }

  put(record: string, name: string, value: string): void {
    this.#tables.createMembers();
    this.#tables.exec(PUT, record, name, value);
  }

  remove(record: string, name: string): void {
    if (this.#tables.hasMembers) this.#tables.exec("DELETE FROM members WHERE record = ? AND name = ?", record, name);
  }

  removeAll(record: string): void {
    if (this.#tables.hasMembers) this.#tables.exec("DELETE FROM members WHERE record = ?", record);
  }
}
