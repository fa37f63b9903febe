import {
  type BackendDefinition,
  type BackendRecord,
  type DrainableCoordinator,
  type DueRecord,
  defineBackend,
} from "edge-coordinator";

/** The tables, for a migration, or for `db.batch` once. */
export const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS records (
    name TEXT PRIMARY KEY, version TEXT NOT NULL, data TEXT NOT NULL, expires_at INTEGER, wake_at INTEGER
  )`,
  "CREATE INDEX IF NOT EXISTS records_to_wake ON records (wake_at) WHERE wake_at IS NOT NULL",
  "CREATE INDEX IF NOT EXISTS records_to_sweep ON records (expires_at) WHERE expires_at IS NOT NULL",
];

const INSERT =
  "INSERT INTO records (version, data, expires_at, wake_at, name) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const UPDATE = "UPDATE records SET version = ?, data = ?, expires_at = ?, wake_at = ? WHERE name = ? AND version = ?";
const DELETE = "DELETE FROM records WHERE name = ? AND version = ?";
const NOW = "SELECT unixepoch('subsec') * 1000 AS nowMs";
const DUE = "SELECT name, wake_at AS atMs FROM records WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT ?";
const PUT_OFF = "UPDATE records SET wake_at = ? WHERE name = ? AND wake_at IS NOT NULL";

/** A coordinator over one table in Cloudflare D1. The database's clock decides, and reads go to its primary. */
export function d1Backend(db: D1Database, options: Partial<BackendDefinition> = {}): DrainableCoordinator {
  const query = (sql: string, ...values: unknown[]) => db.prepare(sql).bind(...values);
  const changes = async (statement: D1PreparedStatement) => (await statement.run()).meta.changes > 0;
  return defineBackend({
    load: (name) => query("SELECT version, data FROM records WHERE name = ?", name).first<BackendRecord>(),
    compareAndSet: (name, version, next) => {
      if (next === null) return changes(query(DELETE, name, version));
      const columns = [next.version, next.data, next.expiresAtMs, next.wakeAtMs, name];
      return changes(version === null ? query(INSERT, ...columns) : query(UPDATE, ...columns, version));
    },
    now: async () => (await query(NOW).first<number>("nowMs")) ?? Number.NaN,
    due: async (limit) => (await query(DUE, limit).all<DueRecord>()).results,
    putOff: (name, atMs) => query(PUT_OFF, atMs, name).run(),
    sweep: (nowMs) => query("DELETE FROM records WHERE expires_at <= ?", nowMs).run(),
    // A row holds 2 MB.
    maxRecordBytes: 1_900_000,
    ...options,
  });
}
