import type { Context } from "hono";
import { hexDigest } from "../digest.js";
import { CoordinationError } from "../errors.js";
import { joinParts } from "../tags.js";
import { checkText } from "../validate.js";

/** What a scope may measure, in bytes of UTF-8. */
const MAX_SCOPE_BYTES = 2_048;
/** Scopes of these characters and up to this length stay readable; others are stored as their digest. */
const PLAIN_SCOPE = /^[!-~]{1,48}$/;

/** Whether an id can be one's public one: it needs no quoting anywhere, and no URL parser takes it for a step upwards. */
export function isPublicId(id: string | undefined): id is string {
  return id !== undefined && /^(?!\.{1,2}$)[A-Za-z0-9._~=+-]{1,128}$/.test(id);
}

/** The id that a client gave its request, if it is usable. */
export function clientIdOf(c: Context): string | undefined {
  const requestId = c.req.header("x-request-id");
  if (isPublicId(requestId)) return requestId;
  // By its draft the key is a quoted string; most clients send it bare.
  return /^"?([^"]*)"?$/.exec(c.req.header("idempotency-key") ?? "")?.[1];
}

/**
 * The id of a request's record. The scope is part of it, with its length: no two pairs of scope and id share a record, and
 * none is an id without a scope, since that holds no colon.
 *
 * @throws {CoordinationError} `misconfigured` for a scope that is missing: it must not become everybody's.
 */
export async function recordIdOf(
  c: Context,
  scope: ((c: Context) => string) | undefined,
  publicId: string,
): Promise<string> {
  if (scope === undefined) return publicId;
  const value: unknown = scope(c);
  if (typeof value !== "string" || value === "") {
    const message = "scope returned no text: is the middleware that authenticates mounted before this one?";
    throw new CoordinationError("misconfigured", message);
  }
  checkText(value, "scope", MAX_SCOPE_BYTES);
  return joinParts([await shortScope(value), publicId]);
}

/** Longer than any plain scope, so that none can pass for a digest. */
async function shortScope(scope: string): Promise<string> {
  return PLAIN_SCOPE.test(scope) ? scope : `#${await hexDigest("SHA-256", scope)}`;
}
