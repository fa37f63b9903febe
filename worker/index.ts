import { Hono, type MiddlewareHandler } from "hono";
import { DurableObjectCoordinator } from "../src/backends/durable-object/client.js";
import type { ObjectNamespace } from "../src/backends/durable-object/options.js";
import type { Grant } from "../src/capability/capability.js";
import { segmentsOf } from "../src/capability/token.js";
import { CoordinationError } from "../src/errors.js";
import { bearerOfClaims, bearerToken } from "../src/http/bearer.js";
import { isExpected, Problem, problemResponse } from "../src/http/problem.js";
import { emit } from "../src/runtime/events.js";
import { authenticate } from "./auth.js";
import { capabilityCors, checkRoute, grantOf, type TenantGrant } from "./capability/grants.js";
import { restricted } from "./capability/restricted.js";
import type { App, AppContext, AppEnv } from "./context.js";
import { tenantOf, VariableError, type WorkerEnv } from "./env.js";
import { type HandlerRules, mayNameOf } from "./handlers.js";
import { EventLog, loggedPath, type WorkerEvent } from "./log.js";
import { QuotaExceeded, quotaResponse } from "./quotas/exceeded.js";
import { limited } from "./quotas/limited.js";
import { IsolateQuotas, type TenantQuotas } from "./quotas/quotas.js";
import type { QuotaSettings } from "./quotas/table.js";
import { callbackRoutes } from "./routes/callbacks.js";
import { capabilityRoutes } from "./routes/capabilities.js";
import { dashboardRoutes } from "./routes/dashboard.js";
import { groupRoutes } from "./routes/groups.js";
import { healthRoutes, misconfiguredOf } from "./routes/health.js";
import { limitRoutes } from "./routes/limits.js";
import { metricsRoutes } from "./routes/metrics.js";
import { openApiRoutes } from "./routes/openapi.js";
import { reindexRoutes } from "./routes/reindex.js";
import { requestRoutes } from "./routes/requests.js";
import { semaphoreRoutes } from "./routes/semaphores.js";
import { tenantRoutes } from "./routes/tenant.js";
import { transitionRoutes } from "./routes/transitions.js";
import { isSuspended, suspendedProblem } from "./suspension.js";
import type { TokenRights } from "./tokens.js";

export type { RateLimitBinding, WorkerEnv } from "./env.js";
export type { HandlerRules } from "./handlers.js";
export { EventLog, type Level, type LogEvent, type WorkerEvent } from "./log.js";
export { CoordinatorWorkerObject } from "./object.js";
export type { QuotaName, QuotaSettings } from "./quotas/table.js";

/** Options of a Worker. */
export interface WorkerOptions<Env extends WorkerEnv = WorkerEnv> {
  /**
   * Returns the binding of the class that extends `CoordinatorWorkerObject` (or `CoordinatorObject`). Default
   * `env.COORDINATOR`.
   */
  readonly namespace?: (env: Env) => ObjectNamespace | undefined;
  /**
   * Which handlers registrations may name: `"*"` for every tenant, or a list of tenants. Any other name is refused with
   * `invalid_input`, also a misspelled one. `COORDINATOR_TOKEN` has no tenant, and may name all of them. Default: any name is
   * allowed. Does not change existing registrations: `handlerTenants` of the class does.
   */
  readonly handlers?: HandlerRules;
  /**
   * `false`: the Worker has no dashboard at `/`. The variable `DASHBOARD` turns it off without a change of the code.
   *
   * @default true
   */
  readonly dashboard?: boolean;
  /**
   * Quotas of each tenant that differ from their defaults. The variable `COORDINATOR_QUOTAS` has the last word. See "Quotas"
   * in docs/http-api.md.
   */
  readonly quotas?: QuotaSettings;
  /**
   * Receives `auth_failed`, `misconfigured`, `quota`, `quota_unchecked` and `failed`. Errors that it throws are ignored.
   * The object's class reports by its own `onEvent`.
   *
   * @default lines of JSON on the console, at most 20 a second of each kind
   */
  readonly onEvent?: (event: WorkerEvent) => void;
}

/** The used part of a Worker's `ctx`. */
export interface WorkerContext {
  waitUntil(work: Promise<unknown>): void;
}

/** The exports of a module Worker. */
export interface CoordinatorWorker<Env extends WorkerEnv = WorkerEnv> {
  fetch(request: Request, env: Env, ctx?: WorkerContext): Promise<Response>;
}

/**
 * Returns the Worker's HTTP API over a Durable Object namespace. Use it to add handlers to the object. The default export
 * is a Worker without options.
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
 * export default createWorker({
 *   namespace: (env: Env) => env.APP_COORDINATOR,
 *   handlers: { publish: "*", invoice: ["tenant-a", "tenant-b"] },
 * });
 * ```
 *
 * @throws {CoordinationError} `misconfigured` for `handlers` that are malformed.
 */
export function createWorker<Env extends WorkerEnv = WorkerEnv>(
  options: WorkerOptions<Env> = {},
): CoordinatorWorker<Env> {
  const log = new EventLog();
  const isolate = new IsolateQuotas(options.quotas ?? {});
  const { onEvent = (event: WorkerEvent) => log.add(event) } = options;
  const tell = (event: WorkerEvent): void => emit(onEvent, event);
  const report = (c: AppContext, error: unknown): void => {
    if (error instanceof CoordinationError && error.code === "misconfigured") tell(misconfiguration(error));
    else if (!isExpected(error)) tell({ type: "failed", ...callOf(c), error });
  };
  const quotasOf = (c: AppContext, keyPrefix: string): TenantQuotas =>
    isolate.of({
      env: c.env,
      keyPrefix,
      namespace: () => namespaceOf(c.env as Env, options),
      call: callOf(c),
      nowMs: Date.now,
      tell,
    });
  const mayName = mayNameOf(options.handlers);
  // On the raw path: an id is decoded once, by the route that reads it.
  const app: App = new Hono<AppEnv>({ getPath: rawPathOf });
  const whole = (c: AppContext, keyPrefix: string): DurableObjectCoordinator =>
    coordinatorOf({ env: c.env as Env, executionCtx: c.executionCtx }, keyPrefix, options);
  app.use("/v1/*", capabilityCors);
  const authenticating: MiddlewareHandler<AppEnv> = async (c, next) => {
    const { keyPrefix, grant, isRefused } = await callerOf(c, tell);
    if (isRefused) throw suspendedProblem();
    c.set("report", (error) => report(c, error));
    c.set("keyPrefix", keyPrefix);
    c.set("grant", grant);
    c.set("mayName", mayName);
    if (grant !== undefined) checkGrant(c, grant, tell);
    const quotas = quotasOf(c, keyPrefix);
    c.set("quotas", quotas);
    await quotas.request();
    const coordinator = limited(whole(c, keyPrefix), quotas);
    c.set("coordinator", grant === undefined ? coordinator : restricted(coordinator, grant));
    c.header("cache-control", "no-store");
    await next();
  };
  app.use("/v1/*", authenticating);
  app.use("/metrics", authenticating);
  const checkBinding = (env: WorkerEnv): void => void namespaceOf(env as Env, options);
  healthRoutes(app, checkBinding);
  metricsRoutes(app, { whole, misconfigured: (c) => misconfiguredOf(c.env, checkBinding) });
  openApiRoutes(app);
  if (options.dashboard !== false) dashboardRoutes(app);
  groupRoutes(app);
  capabilityRoutes(app);
  callbackRoutes(app, { whole, quotasOf, tell });
  requestRoutes(app);
  semaphoreRoutes(app);
  limitRoutes(app);
  tenantRoutes(app);
  reindexRoutes(app, { whole });
  transitionRoutes(app);
  app.notFound(() => problemResponse(new Problem("not_found", "there is nothing under this path")));
  app.onError((error, c) => {
    if (c.req.raw.signal.aborted) return new Response(null, { status: 499 });
    report(c, error);
    return error instanceof QuotaExceeded ? quotaResponse(error) : problemResponse(error);
  });
  return { fetch: async (request, env, ctx) => app.fetch(request, env, executionContext(ctx)) };
}

type Caller = Pick<TenantGrant, "keyPrefix"> & Partial<TenantGrant & TokenRights>;

/** Authenticates. A caller without a token does not learn which variable is wrong: only the event says it. */
async function callerOf(
  c: AppContext,
  tell: (event: WorkerEvent) => void,
): Promise<Caller & { readonly isRefused: boolean }> {
  const { raw } = c.req;
  try {
    const caller = await authenticated(raw, c.env);
    return { ...caller, isRefused: caller.whileSuspended !== true && isSuspended(c.env, caller.keyPrefix) };
  } catch (error) {
    if (!(error instanceof CoordinationError)) {
      tell({ type: "auth_failed", ...callOf(c), reason: reasonOf(raw) });
      throw error;
    }
    tell(misconfiguration(error));
    throw new Problem("misconfigured", "this Worker accepts no token: its log says which variable must be corrected");
  }
}

/** @throws {Problem} `forbidden`. */
function checkGrant(c: AppContext, grant: Grant, tell: (event: WorkerEvent) => void): void {
  try {
    checkRoute(c, grant);
  } catch (error) {
    tell({ type: "auth_failed", ...callOf(c), reason: "forbidden", tenant: tenantOf(c.var.keyPrefix) });
    throw error;
  }
}

/** Returns why a request was not let in. A text in the form of a capability is one that is over, or of another Worker. */
function reasonOf({ headers }: Request): "missing" | "unknown" | "expired" {
  const text = headers.get("authorization");
  if (bearerToken(text) === undefined && bearerOfClaims(text) === undefined) return "missing";
  return segmentsOf(bearerOfClaims(text) ?? "") === undefined ? "unknown" : "expired";
}

function misconfiguration(error: CoordinationError): WorkerEvent {
  return { type: "misconfigured", variable: error instanceof VariableError ? error.variable : undefined, error };
}

/** The method and the path, for events: without tokens. */
function callOf(c: AppContext): { readonly method: string; readonly path: string } {
  return { method: c.req.method, path: loggedPath(c.req.path) };
}

/** A tenant's token first: it stays valid while a key of capabilities is malformed. */
async function authenticated(request: Request, env: WorkerEnv): Promise<Caller> {
  try {
    return await authenticate(request, env);
  } catch (error) {
    const granted = error instanceof Problem ? await grantOf(request, env) : undefined;
    if (granted !== undefined) return granted;
    throw error;
  }
}

/** Returns the raw path of a request's URL, which the platform has normalised. */
function rawPathOf({ url }: Request): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}

/** Returns the execution context that Hono needs. Without one, no work outlives the request. */
function executionContext(ctx: WorkerContext | undefined) {
  return { waitUntil: (work: Promise<unknown>) => ctx?.waitUntil(work), passThroughOnException: () => {}, props: {} };
}

function coordinatorOf<Env extends WorkerEnv>(
  { env, executionCtx }: { readonly env: Env; readonly executionCtx: WorkerContext },
  keyPrefix: string,
  options: WorkerOptions<Env>,
): DurableObjectCoordinator {
  const namespace = namespaceOf(env, options);
  // A client that disconnects ends its wait in the object: see `enable_request_signal` in wrangler.toml.
  return new DurableObjectCoordinator({ namespace, keyPrefix, waitUntil: (work) => executionCtx.waitUntil(work) });
}

function namespaceOf<Env extends WorkerEnv>(env: Env, options: WorkerOptions<Env>): ObjectNamespace {
  const namespace = options.namespace === undefined ? env.COORDINATOR : options.namespace(env);
  if (namespace === undefined) {
    throw new VariableError("COORDINATOR", "the Durable Object binding is missing: COORDINATOR in wrangler.toml");
  }
  return namespace;
}

/** The default Worker: the binding `COORDINATOR`, and no handlers. */
export default createWorker();
