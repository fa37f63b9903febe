import { checkCapabilityVariables } from "../capability/keyring.js";
import { type App, type AppContext, route } from "../context.js";
import { isDashboardOn, VariableError, type WorkerEnv } from "../env.js";
import { checkQuotaVariables } from "../quotas/table.js";
import { suspendedTenants } from "../suspension.js";
import { liveTokens } from "../tokens.js";
import { VERSION } from "../version.js";
import { checkWebhookVariables } from "../webhooks.js";

const CHECKS = [
  liveTokens,
  suspendedTenants,
  checkCapabilityVariables,
  checkWebhookVariables,
  checkQuotaVariables,
  isDashboardOn,
];

/**
 * `GET /health`: needs no token and touches no storage. `degraded` names the variables that are missing or malformed,
 * without their values.
 */
export function healthRoutes(app: App, checkBinding: (env: WorkerEnv) => void): void {
  route(app, "/health", { GET: (c) => health(c, checkBinding) });
}

/** Returns the variables that are missing or malformed. */
export async function misconfiguredOf(env: WorkerEnv, checkBinding: (env: WorkerEnv) => void): Promise<string[]> {
  return (await Promise.all([checkBinding, ...CHECKS].map((check) => faultOf(check, env)))).flat();
}

async function health(c: AppContext, checkBinding: (env: WorkerEnv) => void): Promise<Response> {
  c.header("cache-control", "no-store");
  const misconfigured = await misconfiguredOf(c.env, checkBinding);
  if (misconfigured.length === 0) return c.json({ status: "ok", version: VERSION });
  return c.json({ status: "degraded", version: VERSION, misconfigured });
}

/** Returns the variable that the check reports, if it fails. */
async function faultOf(check: (env: WorkerEnv) => unknown, env: WorkerEnv): Promise<string[]> {
  try {
    await check(env);
    return [];
  } catch (error) {
    return [error instanceof VariableError ? error.variable : "COORDINATOR"];
  }
}
