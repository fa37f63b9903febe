import { Hono } from "hono";
import { DurableObjectCoordinator, type ObjectNamespace } from "../src/backends/durable-object.js";
import { CoordinationError } from "../src/errors.js";
import { isExpected, Problem, problemResponse } from "../src/problem.js";
import { authenticate } from "./auth.js";
import type { App, AppEnv } from "./context.js";
import type { WorkerEnv } from "./env.js";
import { groupRoutes } from "./routes/groups.js";
import { healthRoutes } from "./routes/health.js";
import { requestRoutes } from "./routes/requests.js";
import { transitionRoutes } from "./routes/transitions.js";

export type { WorkerEnv } from "./env.js";
export { CoordinatorWorkerObject } from "./object.js";

/** What a Worker is made with. */
export interface WorkerOptions<Env extends WorkerEnv = WorkerEnv> {
  /** The binding of the class that extends `CoordinatorWorkerObject` (or `CoordinatorObject`). Default `env.COORDINATOR`. */
  readonly namespace?: (env: Env) => ObjectNamespace | undefined;
  /**
   * Gets the errors that the caller must not read, for logs: unexpected ones, which are answered `internal`, and variables that
   * keep every token out (`misconfigured`, whose message names the variable and holds no value). Default: the message of the
   * latter goes to `console.error`.
   */
  readonly onError?: (error: unknown) => void;
}

/** What a module Worker exports. */
export interface CoordinatorWorker<Env extends WorkerEnv = WorkerEnv> {
  fetch(request: Request, env: Env): Promise<Response>;
}

/**
 * The Worker's HTTP API over a Durable Object namespace. For those who add handlers to the object; the default export
 * is one that was made without options.
 *
 * @example
 * ```ts
 * import type { ObjectNamespace } from "edge-coordinator/durable-object";
 * import { createWorker, type WorkerEnv } from "edge-coordinator/worker";
 *
 * interface Env extends WorkerEnv {
 *   readonly APP_COORDINATOR: ObjectNamespace;
 * }
 *
 * export default createWorker({ namespace: (env: Env) => env.APP_COORDINATOR });
 * ```
 */
export function createWorker<Env extends WorkerEnv = WorkerEnv>(
  options: WorkerOptions<Env> = {},
): CoordinatorWorker<Env> {
  const { onError = logMisconfigured } = options;
  const report = (error: unknown): void => {
    if (!isExpected(error)) onError(error);
  };
  // On the raw path: an id is decoded once, by the route that reads it.
  const app: App = new Hono<AppEnv>({ getPath: rawPathOf });
  app.use("/v1/*", async (c, next) => {
    const keyPrefix = keyPrefixOf(c.req.raw, c.env, onError);
    c.set("report", report);
    c.set("keyPrefix", keyPrefix);
    c.set("coordinator", coordinatorOf(keyPrefix, c.env as Env, options));
    c.header("cache-control", "no-store");
    await next();
  });
  healthRoutes(app);
  groupRoutes(app);
  requestRoutes(app);
  transitionRoutes(app);
  app.notFound(() => problemResponse(new Problem("not_found", "there is nothing under this path")));
  app.onError((error, c) => {
    if (c.req.raw.signal.aborted) return new Response(null, { status: 499 });
    report(error);
    return problemResponse(error);
  });
  return { fetch: async (request, env) => app.fetch(request, env) };
}

/** Authenticates. A caller without a token does not learn which variable is wrong: `onError` gets it instead. */
function keyPrefixOf(request: Request, env: WorkerEnv, onError: (error: unknown) => void): string {
  try {
    return authenticate(request, env);
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error;
    onError(error);
    throw new Problem("misconfigured", "this Worker accepts no token: its log says which variable must be corrected");
  }
}

function logMisconfigured(error: unknown): void {
  // The documented default: without it a closed Worker would not say why.
  // biome-ignore lint/suspicious/noConsole: the message names a variable, and holds no value.
  if (error instanceof CoordinationError) console.error(`edge-coordinator: ${error.message}`);
}

/** The path of a request's URL, which every platform has parsed and written out by itself. */
function rawPathOf({ url }: Request): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}

function coordinatorOf<Env extends WorkerEnv>(
  keyPrefix: string,
  env: Env,
  options: WorkerOptions<Env>,
): DurableObjectCoordinator {
  const namespace = options.namespace === undefined ? env.COORDINATOR : options.namespace(env);
  if (namespace === undefined) {
    throw new CoordinationError("misconfigured", "the Durable Object binding is missing: COORDINATOR in wrangler.toml");
  }
  return new DurableObjectCoordinator({ namespace, keyPrefix });
}

/** The Worker as it is deployed: the binding `COORDINATOR`, and no handlers. */
export default createWorker();
