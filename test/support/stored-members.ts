import { MemberText } from "../../src/runtime/member-text.js";

/** The part of an object's SQLite storage that runs queries. */
interface Sql {
  exec<Row extends Record<string, string | null>>(query: string, ...values: string[]): { toArray(): Row[] };
}

/**
 * The members of a record as the tables hold them: those in the record's row, and those with a row of their own.
 *
 * @throws Error when a member is at a place where the library would not find it.
 */
export function storedMembers(sql: Sql, record: string): Map<string, string> {
  const packed = packedOf(sql, record);
  const members = new Map(rowsOf(sql, record));
  if (packed === null) return members;
  const withRow: string[] = [];
  for (const [name, value] of new MemberText(packed, () => new Error("not a packed text")).members()) {
    if (value === null) withRow.push(name);
    else if (members.has(name)) throw new Error("a packed member has a row, too");
    else members.set(name, value);
  }
  if (withRow.some((name) => !members.has(name))) throw new Error("a member's row is missing");
  if (rowsOf(sql, record).length !== withRow.length) throw new Error("a row is left of a member that was removed");
  return members;
}

/** The packed text of the record; `null` when it is spilled. */
export function packedOf(sql: Sql, record: string): string | null {
  return (
    sql.exec<{ packed: string | null }>("SELECT packed FROM records WHERE name = ?", record).toArray()[0]?.packed ??
    null
  );
}

/** The members of the record that have a row of their own. */
export function rowsOf(sql: Sql, record: string): [name: string, value: string][] {
  if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'members'").toArray().length === 0) return [];
  const query = "SELECT name, value FROM members WHERE record = ? ORDER BY name";
  const rows = sql.exec<{ name: string; value: string }>(query, record).toArray();
  return rows.map(({ name, value }) => [name, value]);
}
