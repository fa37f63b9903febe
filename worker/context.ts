import type { Context, Handler, Hono } from "hono";
import type { Coordinator } from "../src/coordinator.js";
import { Problem } from "../src/http/problem.js";
import type { WorkerEnv } from "./env.js";
import type { MayName } from "./handlers.js";

/** What the Worker's routes find in their context. */
export interface AppEnv {
  readonly Bindings: WorkerEnv;
  readonly Variables: {
    /** Made for this request, and bound to what its token opens. */
    readonly coordinator: Coordinator;
    /** What its token opens: begins the name of everything that it can reach. */
    readonly keyPrefix: string;
    /** Whether a tenant's registrations may name a handler. */
    readonly mayName: MayName;
    /** Tells of an error that nobody expected, of which the caller hears no more than `internal`. */
    readonly report: (error: unknown) => void;
  };
}

export type App = Hono<AppEnv>;
export type AppContext = Context<AppEnv>;

/** The methods of one path; any other is answered with 405 and the list of these. */
export function route(app: App, path: string, handlers: Readonly<Record<string, Handler<AppEnv>>>): void {
  const methods = Object.keys(handlers);
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler);
  const allow = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  app.all(path, () => {
    throw new Problem("method_not_allowed", `this path takes ${allow}`, { allow });
  });
}

/** A path's segment as it was before it was percent-encoded; decoded once, so that any id comes back. */
export function pathSegment(c: AppContext, index: number): string {
  // The app routes on the raw path (see `createWorker`): nothing has been decoded yet.
  try {
    return decodeURIComponent(c.req.path.split("/")[index] ?? "");
  } catch {
    throw new Problem("malformed", "the path holds a percent sign that encodes no UTF-8");
  }
}
