import type { MiddlewareHandler } from "hono";
import { capabilityForm, type Grant } from "../../src/capability/capability.js";
import { openToken, segmentsOf } from "../../src/capability/token.js";
import { bearerOfClaims, unauthorized } from "../../src/http/bearer.js";
import { REALM } from "../auth.js";
import { type AppContext, type AppEnv, decodedSegment } from "../context.js";
import type { WorkerEnv } from "../env.js";
import { hasKeys, keyringOf } from "./keyring.js";
import { openedMethods, openedRoute } from "./opened-routes.js";
import { refusal } from "./restricted.js";

/** A capability, and the prefix of its tenant's names. */
export interface TenantGrant {
  readonly keyPrefix: string;
  readonly grant: Grant;
}

/**
 * Returns the capability that a request presents. `undefined` when its bearer token is no capability of this Worker's keys: it
 * may be a tenant's token.
 *
 * @throws {Problem} `unauthorized` for a capability that is forged, malformed or expired.
 * @throws {CoordinationError} `misconfigured`, for logs only.
 */
export async function grantOf(request: Request, env: WorkerEnv): Promise<TenantGrant | undefined> {
  const text = bearerOfClaims(request.headers.get("authorization"));
  if (text === undefined || segmentsOf(text) === undefined || !hasKeys(env)) return undefined;
  const owner = (await keyringOf(env)).keyOf("capability", text);
  if (owner === undefined) return undefined;
  const grant = await openToken(owner.key, capabilityForm, { text, nowMs: Date.now() });
  if (grant === undefined) throw unauthorized(REALM, "the capability is forged, malformed or expired", "invalid_token");
  return { keyPrefix: owner.keyPrefix, grant };
}

/** Refuses a call that the capability does not open, before its body is read. @throws {Problem} `forbidden`. */
export function checkRoute(c: AppContext, grant: Grant): void {
  const route = openedRoute(c.req.method, c.req.path);
  if (route === undefined) throw refusal("call this route");
  if (route.machine !== grant.machine || decodedSegment(route.encodedId) !== grant.id) {
    throw refusal("access another group or request");
  }
  if (!route.verbs.some((verb) => grant.verbs.includes(verb))) throw refusal(`${route.verbs.join(" or ")}`);
}

/** Returns how long the caller's token is still valid, in milliseconds. `Infinity` for a tenant's token. */
export function remainingMs({ var: { grant } }: AppContext, nowMs = Date.now()): number {
  return grant === undefined ? Number.POSITIVE_INFINITY : Math.max(0, grant.exp * 1000 - nowMs);
}

/**
 * Cross-origin access for browsers that hold a capability. A browser sends no token with its preflight, so the route decides.
 *
 * `*` is right here: the token is the only proof, the page sends it itself, and no cookie is accepted. So a page of another
 * origin gains nothing from a visitor's browser. A tenant's token gets no such header: it must not be in a browser.
 *
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export const capabilityCors: MiddlewareHandler<AppEnv> = async (c, next) => {
  const methods = hasKeys(c.env) ? openedMethods(c.req.path) : [];
  if (methods.length === 0) return next();
  if (c.req.method === "OPTIONS") return preflight(methods);
  await next();
  if (c.var.keyPrefix !== undefined && c.var.grant === undefined) return;
  c.header("access-control-allow-origin", "*");
  c.header("access-control-expose-headers", "preference-applied, retry-after, www-authenticate");
};

/** How long browsers keep the answer to a preflight, in seconds. Chromium keeps none for longer than two hours. */
const PREFLIGHT_SEC = 7_200;

function preflight(methods: readonly string[]): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": methods.join(", "),
      "access-control-allow-headers": "authorization, content-type, last-event-id, prefer, traceparent, tracestate",
      "access-control-max-age": String(PREFLIGHT_SEC),
    },
  });
}
