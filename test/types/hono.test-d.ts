import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import {
  coordinationErrors,
  drainRoutes,
  type IdempotencyEnv,
  idempotency,
  idempotentRequests,
  type RequestOptions,
  type RequestWait,
  type RequestWaitEnv,
  requestStatusRoutes,
  requestWait,
} from "../../src/hono/index.js";
import {
  type Coordinator,
  type DrainableCoordinator,
  MemoryCoordinator,
  type NextTasks,
  type RequestState,
  type RequestStatus,
  type RequestWaitOptions,
  RequestWaitTracker,
} from "../../src/index.js";

/** Checked by the compiler alone: what must not compile stands below `@ts-expect-error`. */

interface Bindings {
  readonly CRON_SECRET: string;
  readonly coordinator: Coordinator;
}
interface Variables {
  readonly user: { readonly id: string };
}

const coordinator = new MemoryCoordinator();
declare const upstash: DrainableCoordinator;
const scope = (c: Context): string => c.req.header("x-user") ?? "anonymous";
const options = { coordinator, stages: ["parse", "embed"], scope } as const;

/** The stages are inferred from literals, chained and not, and beside an application's own environment. */
export const app = new Hono<{ Bindings: Bindings; Variables: Variables }>()
  .onError(coordinationErrors())
  .use(coordinationErrors())
  .use("/documents/*", coordinationErrors({ onError: (error) => void error.message }))
  .post(
    "/documents",
    requestWait({ coordinator, stages: ["parse", "embed"], scope: (c) => c.get("user").id }),
    async (c) => {
      const { id, publicId, add, tracker } = c.var.requestWait;
      const result = await add("parse", ["a", "b"]);
      result.outcome satisfies "added" | "sealed" | "late" | "unknown";
      result.status?.stages.embed.open satisfies number | undefined;
      // @ts-expect-error: there is no such stage
      await c.var.requestWait.add("no-such-stage", "a");
      // @ts-expect-error: a task has an id
      await add("parse", { stage: "parse" });
      // @ts-expect-error: the tracker has the same stages
      await tracker.count(id, "no-such-stage", { error: "no" });
      // @ts-expect-error: it is what the client knows, and stays so
      c.var.requestWait.publicId = id;
      // The application's own environment is there still.
      return c.json({ id: publicId, user: c.var.user.id, secret: c.env.CRON_SECRET }, 202);
    },
  )
  .post("/shared", requestWait(options), async (c) => {
    await c.var.requestWait.add("embed", "a");
    // @ts-expect-error: there is no such stage
    await c.var.requestWait.add("publish", "a");
    return c.body(null, 204);
  })
  .route("/requests", requestStatusRoutes(options))
  .route("/drain", drainRoutes({ coordinator: (c) => c.env.coordinator, secret: (c) => c.env.CRON_SECRET }))
  .get("/plain", (c) => {
    // @ts-expect-error: not behind the middleware
    c.var.requestWait.id;
    throw new HTTPException(404);
  });

/** Where contexts are handed on, the application's environment says what the middleware adds. */
type AppEnv = { Bindings: Bindings } & RequestWaitEnv<"parse" | "embed">;
const start = (c: Context<AppEnv>) => c.var.requestWait.add("parse", c.env.CRON_SECRET);
export const handingOn = new Hono<AppEnv>().post("/", requestWait(options), async (c) => c.json(await start(c), 202));

/** Stages that are known at run time alone are texts. */
export function anyStage(stages: readonly string[]): Hono {
  const made = new Hono();
  made.post("/", requestWait({ coordinator, stages, scope: "public" }), async (c) => {
    await c.var.requestWait.add("whatever", "a");
    return c.body(null, 202);
  });
  return made;
}

/** A type's name without arguments means texts. */
export function byNameAlone(
  requests: RequestOptions,
  options: RequestWaitOptions,
  next: NextTasks,
): Hono<RequestWaitEnv> {
  const tracker: RequestWaitTracker = new RequestWaitTracker(coordinator, options);
  const made = new Hono<RequestWaitEnv>();
  made.post("/", requestWait(requests), async (c) => {
    const wait: RequestWait = c.var.requestWait;
    await tracker.ack(wait.id, "parse", "a", { next: [next] });
    return c.body(null, 202);
  });
  made.route("/requests", requestStatusRoutes(requests));
  return made;
}

/** What is unknown has no status: it is null. */
export const stateOf = (status: RequestStatus): RequestState => status.state;

// One object serves the middleware and the routes. A tracker takes its own options alone.
new RequestWaitTracker(coordinator, { stages: options.stages });
requestWait({ ...options, scope: "public", onTimeout: "gateway-timeout" });
requestWait({ ...options, statusPath: (c) => `/orgs/${c.req.param("id")}/requests`, requestId: () => undefined });
drainRoutes({ coordinator: upstash, secret: undefined });
// @ts-expect-error: memory wakes what is due by itself
drainRoutes({ coordinator, secret: undefined });

// @ts-expect-error: whose requests they are has to be said
requestWait({ coordinator, stages: ["parse"] });
// @ts-expect-error: for the status routes too
requestStatusRoutes({ coordinator, stages: ["parse"] });
// @ts-expect-error: a scope is a text
requestWait({ ...options, scope: () => undefined });
// @ts-expect-error: there is no such scope
requestWait({ ...options, scope: "private" });
// @ts-expect-error: a path is a text
requestWait({ ...options, statusPath: () => undefined });
// @ts-expect-error: there is no such end
requestWait({ ...options, onTimeout: "hang" });
// @ts-expect-error: true names no field
requestWait({ ...options, queueStatusField: true });
// @ts-expect-error: there is no such option
requestWait({ ...options, timeoutMs: 5 });
// @ts-expect-error: the stages are missing
requestStatusRoutes({ coordinator, scope });
// @ts-expect-error: the secret is missing
drainRoutes({ coordinator });
// @ts-expect-error: a coordinator is one
drainRoutes({ coordinator: {}, secret: "x" });

/** With a key that is required, the handler always finds one. Without, it must look. */
export const payments = new Hono<{ Bindings: Bindings; Variables: Variables }>()
  .post("/required", idempotency({ coordinator, scope, required: true }), (c) => {
    const { key, fencingToken, signal } = c.var.idempotency;
    key satisfies string;
    fencingToken satisfies number;
    signal satisfies AbortSignal;
    return c.text(c.var.user.id);
  })
  .post("/optional", idempotency({ coordinator: (c) => c.env.coordinator, scope: (c) => c.get("user").id }), (c) => {
    const run = c.var.idempotency;
    // @ts-expect-error: the request may have no key
    run.fencingToken satisfies number;
    if (run.key !== undefined) run.fencingToken satisfies number;
    return c.text("done");
  })
  .post("/public", idempotency({ coordinator, scope: "public", key: async (c) => (await c.req.json()).id }), (c) =>
    c.text(c.var.idempotency.key ?? "none"),
  )
  .post("/wait", requestWait({ ...options, idempotency: idempotentRequests({ ttlSec: "7d" }) }), (c) => {
    c.var.requestWait.idempotency?.fencingToken satisfies number | undefined;
    return c.body(null, 202);
  });
export type PaymentApp = Hono<IdempotencyEnv<true>>;
// @ts-expect-error: a plain object is no guard
requestWait({ ...options, idempotency: { required: true } });
// @ts-expect-error: the scope is required
idempotency({ coordinator });
// @ts-expect-error: there is no such decision
idempotency({ coordinator, scope, onInFlight: "skip" });
