import { type App, route } from "../context.js";
import { tenantOf } from "../env.js";
import { isSuspended } from "../suspension.js";

/** `GET /v1/tenant`: whose data the token opens. A command that removes data compares it with the name that a person gave. */
export function tenantRoutes(app: App): void {
  route(app, "/v1/tenant", {
    GET: ({ env, var: { keyPrefix }, json }) =>
      json({ tenant: tenantOf(keyPrefix) ?? null, suspended: isSuspended(env, keyPrefix) }),
  });
}
