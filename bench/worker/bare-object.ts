import { DurableObject } from "cloudflare:workers";
import { lateness } from "./lateness.js";

/** The least that an object can do: count in one row, and ring once. */
export class BareObject extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS counts (id INTEGER PRIMARY KEY, n INTEGER, at INTEGER)");
  }

  hit(): number {
    const count = "INSERT INTO counts VALUES (0, 1, 0) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n";
    return this.#sql.exec<{ n: number }>(count).one().n;
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
