import { CoordinationError } from "../src/errors.js";
import { isTenant, TENANT_FORM } from "./env.js";

/** Which tenants may name a handler: all (`"*"`), or those in the list. */
export type HandlerRules = { readonly [handler: string]: "*" | readonly string[] };

/** Whether a tenant may name a handler in its registrations. */
export type MayName = (handler: string, tenant: string | undefined) => boolean;

/**
 * Returns the check for `handlers` of `createWorker`. Without it every name is allowed.
 *
 * @throws {CoordinationError} `misconfigured` for rules that are malformed.
 */
export function mayNameOf(rules: HandlerRules | undefined): MayName {
  if (rules === undefined) return () => true;
  const allowed = new Map(Object.entries(rules).map(([handler, tenants]) => [handler, readTenants(handler, tenants)]));
  return (handler, tenant) => {
    const tenants = allowed.get(handler);
    // COORDINATOR_TOKEN has no tenant: it is for the operator's own services.
    return tenants === "*" || (tenants !== undefined && (tenant === undefined || tenants.has(tenant)));
  };
}

function readTenants(handler: string, tenants: unknown): "*" | ReadonlySet<string> {
  if (tenants === "*") return "*";
  if (Array.isArray(tenants) && tenants.every(isTenant)) return new Set(tenants);
  const form = `"*" or a list of tenants, each ${TENANT_FORM}`;
  throw new CoordinationError(
    "misconfigured",
    `handlers.${handler} of createWorker, or of handlerTenants, must be ${form}`,
  );
}
