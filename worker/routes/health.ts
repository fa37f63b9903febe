import { checkCapabilityVariables } from "../capability/keyring.js";
import { type App, type AppContext, route } from "../context.js";
import { isDashboardOn, liveTokens, VariableError, type WorkerEnv } from "../env.js";
import { VERSION } from "../version.js";
import { checkWebhookVariables } from "../webhooks.js";

/**
 * `GET /health`: needs no token and touches no storage. `degraded` names the variables that are missing or malformed,
 * without their values.
 */
export function healthRoutes(app: App, checkBinding: (env: WorkerEnv) => void): void {
  route(app, "/health", { GET: (c) => health(c, checkBinding) });
}

/** Returns the variables that are missing or malformed. */
export function misconfiguredOf(env: WorkerEnv, checkBinding: (env: WorkerEnv) => void): string[] {
  const checks = [checkBinding, liveTokens, checkCapabilityVariables, checkWebhookVariables, isDashboardOn];
  return checks.flatMap((check) => faultOf(check, env));
}

function health(c: AppContext, checkBinding: (env: WorkerEnv) => void): Response {
  c.header("cache-control", "no-store");
  const misconfigured = misconfiguredOf(c.env, checkBinding);
  if (misconfigured.length === 0) return c.json({ status: "ok", version: VERSION });
  return c.json({ status: "degraded", version: VERSION, misconfigured });
}

/** Returns the variable that the check reports, if it fails. */
function faultOf(check: (env: WorkerEnv) => unknown, env: WorkerEnv): string[] {
  try {
    check(env);
    return [];
  } catch (error) {
    return [error instanceof VariableError ? error.variable : "COORDINATOR"];
  }
}
