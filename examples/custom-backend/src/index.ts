import { CompletionTracker, type Coordinator, type HandlerContext, type HandlerEvent } from "edge-coordinator";
import { coordinationErrors } from "edge-coordinator/hono";
import { type Context, Hono } from "hono";
import { d1Backend } from "./d1-backend.js";

/** What wrangler.toml binds. */
interface Env {
  readonly DB: D1Database;
  readonly DEADLINE_SEC: string;
}

/** What an order waits for before it is shipped. */
const CHECKS = ["payment", "stock", "address"];

const handlers = {
  /** May run twice: the delivery id is the row's key, so that an order has one outcome. */
  settle: async ({ type, deliveryId, status }: HandlerEvent, { env }: HandlerContext<Env>) => {
    const outcome = type === "group.timed_out" ? "expired" : status.ok ? "shipped" : "refused";
    await env.DB.prepare(
      "INSERT INTO outcomes (delivery_id, order_id, outcome) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )
      .bind(deliveryId, status.groupId, outcome)
      .run();
  },
};

/** For one request: Workers share no I/O between them, and making one costs nothing. */
function trackerOn(coordinator: Coordinator, env: Env, ctx: Pick<ExecutionContext, "waitUntil">) {
  return new CompletionTracker(coordinator, {
    handlers,
    env,
    // The request whose check was the last one also runs the handler, after its response.
    waitUntil: (work) => ctx.waitUntil(work),
    timeoutSec: Number(env.DEADLINE_SEC),
    onEvent: (event) => console.log(event.type, event),
  });
}

type App = { Bindings: Env };
const trackerOf = (c: Context<App>) => trackerOn(d1Backend(c.env.DB), c.env, c.executionCtx);

const app = new Hono<App>();
app.onError(coordinationErrors({ onError: (error) => console.error(error) }));

/** Takes an order in. Sending it again changes nothing. */
app.put("/orders/:id", async (c) => {
  return c.json(await trackerOf(c).register(c.req.param("id"), CHECKS, { onEnd: { handler: "settle" } }));
});

/** A check has its result: any caller, any order, any number of times. The verdict says what became of it. */
app.post("/orders/:id/:check/passed", async (c) => {
  return c.json(await trackerOf(c).ack(c.req.param("id"), c.req.param("check")));
});

app.post("/orders/:id/:check/failed", async (c) => {
  return c.json(await trackerOf(c).fail(c.req.param("id"), c.req.param("check"), "the check failed"));
});

app.get("/orders/:id", async (c) => {
  const status = await trackerOf(c).status(c.req.param("id"));
  return c.json(status, status === null ? 404 : 200);
});

/** Runs the handler once more: when its attempts are used up, or to see that an order has one outcome all the same. */
app.post("/orders/:id/redeliver", async (c) => {
  const status = await trackerOf(c).redeliver(c.req.param("id"));
  return c.json(status, status === null ? 404 : 200);
});

/** What the handler has done. */
app.get("/outcomes", async (c) => {
  const { results } = await c.env.DB.prepare("SELECT order_id AS orderId, outcome FROM outcomes").all();
  return c.json(results);
});

/** Every minute: deadlines that nobody looked at, handlers that failed, and those whose request died. */
async function scheduled(_controller: ScheduledController, env: Env, ctx: ExecutionContext): Promise<void> {
  const coordinator = d1Backend(env.DB);
  trackerOn(coordinator, env, ctx);
  console.log("drained", await coordinator.drain({ limit: 1_000, budgetMs: 20_000 }));
}

export default { fetch: app.fetch, scheduled } satisfies ExportedHandler<Env>;
