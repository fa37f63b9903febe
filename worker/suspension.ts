import { Problem } from "../src/http/problem.js";
import { isTenant, TENANT_FORM, tenantOf, VariableError, type WorkerEnv } from "./env.js";

/** Why handlers and webhooks of a suspended tenant wait. */
export const SUSPENDED = "COORDINATOR_SUSPENDED names its tenant";

/**
 * Returns whether the tenant of a key prefix is suspended. `COORDINATOR_TOKEN` has no tenant, and so never is.
 *
 * @throws {CoordinationError} `misconfigured` for a malformed list: no tenant gets in by a slip of the operator.
 */
export function isSuspended(env: WorkerEnv, keyPrefix: string): boolean {
  const tenant = tenantOf(keyPrefix);
  return suspendedTenants(env).some((each) => each === tenant);
}

/** @throws {CoordinationError} `misconfigured`, naming the variable. */
export function suspendedTenants({ COORDINATOR_SUSPENDED: text = "" }: WorkerEnv): readonly string[] {
  // A list in wrangler.toml is an array here.
  if (typeof text !== "string") {
    throw new VariableError(
      "COORDINATOR_SUSPENDED",
      "COORDINATOR_SUSPENDED must be a text: tenants, separated by commas",
    );
  }
  const tenants = text.split(/[\s,]+/).filter((name) => name !== "");
  const wrong = tenants.findIndex((name) => !isTenant(name));
  if (wrong < 0) return tenants;
  const message = `COORDINATOR_SUSPENDED: tenant ${wrong + 1} must be ${TENANT_FORM}`;
  throw new VariableError("COORDINATOR_SUSPENDED", message);
}

/** Returns the refusal of every call for a suspended tenant. */
export function suspendedProblem(): Problem {
  return new Problem("suspended", "this tenant is suspended: ask the operator of this Worker");
}
