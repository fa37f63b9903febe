import type { Context, Handler, Hono } from "hono";
import type { Grant } from "../src/capability/capability.js";
import type { Coordinator } from "../src/coordinator.js";
import { Problem } from "../src/http/problem.js";
import type { WorkerEnv } from "./env.js";
import type { MayName } from "./handlers.js";
import type { TenantQuotas } from "./quotas/quotas.js";

/** The types of the bindings and variables in the routes' context. */
export interface AppEnv {
  readonly Bindings: WorkerEnv;
  readonly Variables: {
    /** Made for this request, with the key prefix of its token. With a capability it runs only what that allows. */
    readonly coordinator: Coordinator;
    /** The prefix of all names that the request's token can access. */
    readonly keyPrefix: string;
    /** The capability of the request. Absent: it has a tenant's token. */
    readonly grant?: Grant | undefined;
    readonly quotas: TenantQuotas;
    /** Whether a tenant's registrations may name a handler. */
    readonly mayName: MayName;
    /** Reports an unexpected error, which the caller only sees as `internal`. */
    readonly report: (error: unknown) => void;
  };
}

export type App = Hono<AppEnv>;
export type AppContext = Context<AppEnv>;

/** Registers the methods of one path. Any other method is answered 405 with the list of these. */
export function route(app: App, path: string, handlers: Readonly<Record<string, Handler<AppEnv>>>): void {
  const methods = Object.keys(handlers);
  for (const [method, handler] of Object.entries(handlers)) app.on(method, path, handler);
  const allow = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  app.all(path, () => {
    throw new Problem("method_not_allowed", `this path takes ${allow}`, { allow });
  });
}

/** Returns the trace context that the request carries, unchecked. */
export function traceOf(c: AppContext): { readonly traceparent: string | undefined } {
  return { traceparent: c.req.header("traceparent") };
}

/** Returns a segment of the path, percent-decoded exactly once, so that any id is possible. */
export function pathSegment(c: AppContext, index: number): string {
  // The app routes on the raw path (see `createWorker`): nothing has been decoded yet.
  return decodedSegment(c.req.path.split("/")[index] ?? "");
}

/** Returns an encoded segment, decoded once. @throws {Problem} `malformed`. */
export function decodedSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Problem("malformed", "the path holds a percent sign that encodes no UTF-8");
  }
}
