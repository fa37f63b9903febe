import { DurableObject } from "cloudflare:workers";
import { rowsWritten } from "../../test/support/row-counts.js";
import { lateness } from "./lateness.js";

/** The least that an object can do: count in one row, and ring once. */
export class BareObject extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS counts (id INTEGER PRIMARY KEY, n INTEGER, at INTEGER)");
    this.#sql.exec("CREATE TABLE IF NOT EXISTS locks (key TEXT PRIMARY KEY, value TEXT, until INTEGER) WITHOUT ROWID");
  }

  hit(): number {
    const count = "INSERT INTO counts VALUES (0, 1, 0) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n";
    return this.#sql.exec<{ n: number }>(count).one().n;
  }

  /** Takes the lock for 30 s, unless another caller has it. */
  lock(key: string, value: string): boolean {
    const take =
      "INSERT INTO locks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, until = excluded.until WHERE until <= ?";
    const nowMs = Date.now();
    return this.#sql.exec(`${take} RETURNING key`, key, value, nowMs + 30_000, nowMs).toArray().length === 1;
  }

  unlock(key: string, value: string): boolean {
    const give = "DELETE FROM locks WHERE key = ? AND value = ? RETURNING key";
    return this.#sql.exec(give, key, value).toArray().length === 1;
  }

  /** The rows that a lock and its release write, by the storage's own count. */
  rowsOfLock(): number {
    return rowsWritten(this.#sql, () => {
      this.lock("counted", "value");
      this.unlock("counted", "value");
    });
  }

  async ring(atMs: number): Promise<void> {
    this.#sql.exec("INSERT INTO counts VALUES (1, 0, ?)", atMs);
    await this.ctx.storage.setAlarm(atMs);
  }

  override async alarm(): Promise<void> {
    const { at } = this.#sql.exec<{ at: number }>("SELECT at FROM counts WHERE id = 1").one();
    lateness.bare.push(Date.now() - at);
  }
}
