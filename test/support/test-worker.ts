import { DurableObject } from "cloudflare:workers";

declare global {
  namespace Cloudflare {
    interface Env {
      COORDINATOR: DurableObjectNamespace<TestCoordinatorObject>;
      UPSTASH_REDIS_REST_URL: string;
      UPSTASH_REDIS_REST_TOKEN: string;
    }
  }
}

/** An object with a number in SQLite and an alarm that adds to it. */
export class TestCoordinatorObject extends DurableObject<Cloudflare.Env> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT");
  }

  add(delta: number): number {
    const statement =
      "INSERT INTO counter VALUES (1, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value RETURNING value";
    return Number(this.#sql.exec(statement, delta).one().value);
  }

  async addLater(atMs: number): Promise<void> {
    await this.ctx.storage.setAlarm(atMs);
  }

  override alarm(): void {
    this.add(100);
  }
}

export default {
  fetch: () => new Response("ok"),
} satisfies ExportedHandler<Cloudflare.Env>;
