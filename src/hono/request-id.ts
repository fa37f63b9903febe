import type { Context } from "hono";
import { CoordinationError } from "../errors.js";
import { Problem } from "../http/problem.js";
import { hexDigest } from "../lib/digest.js";
import { checkText } from "../lib/validate.js";
import { joinParts } from "../runtime/placement.js";

/** The owner of a request, read from the context; `"public"` for clients that are not authenticated. */
export type Scope = ((c: Context) => string) | "public";

/** The largest scope, in bytes of UTF-8. */
const MAX_SCOPE_BYTES = 2_048;
/** Scopes of these characters and up to this length stay readable; others are stored as their digest. */
const PLAIN_SCOPE = /^[!-~]{1,48}$/;

/** The keys that a client may send. */
const KEY = /^[ -~]{1,255}$/;
/** RFC 8941, section 3.3.3: a quoted string, with a backslash before a quote or a backslash. */
const QUOTED = /^"((?:[ !#-[\]-~]|\\["\\])*)"$/;
/**
 * Keys that serve as public ids unchanged: they are safe in a path and in a header. Keys that look like a digest do not match,
 * so that no key equals the public id of another key.
 */
const PLAIN_KEY = /^(?!\.{1,2}$|sha256-)[A-Za-z0-9._~=+:-]{1,128}$/;
const DIGESTED_KEY = /^sha256-[0-9a-f]{64}$/;
/** The form of `crypto.randomUUID()`. */
const SERVER_MADE = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const OWN_ID = "the request's id";

/** The options that determine a request's id. */
export interface Identification {
  readonly scope: Scope;
  /** The application's own function. */
  readonly requestId: ((c: Context) => string | undefined) | undefined;
}

/**
 * Returns the key of an arriving request, or `undefined`.
 *
 * @throws {Problem} `malformed` for an unusable key. A UUID in its place would run a repeated request twice.
 */
export function keyOf(c: Context, { scope, requestId }: Identification): string | undefined {
  if (scope === "public") return undefined;
  return requestId === undefined ? clientKey(c) : usableKey(requestId(c), OWN_ID);
}

/** Returns the public id of an arriving request: its key, the key's digest, or a fresh UUID where it has no key. */
export async function publicIdOf(key: string | undefined): Promise<string> {
  return key === undefined ? crypto.randomUUID() : publicForm(key);
}

/** Returns the public id that a path's segment names; `undefined` when it can name none. */
export async function publicIdIn(segment: string | undefined, scope: Scope): Promise<string | undefined> {
  if (segment === undefined) return undefined;
  // Another form could be the record id of a request with a scope.
  if (scope === "public") return SERVER_MADE.test(segment) ? segment : undefined;
  if (DIGESTED_KEY.test(segment)) return segment;
  return KEY.test(segment) ? publicForm(segment) : undefined;
}

/** The client's own key takes precedence: proxies and service meshes write `X-Request-Id` themselves. */
function clientKey(c: Context): string | undefined {
  return idempotencyKey(c) ?? usableKey(c.req.header("x-request-id"), "X-Request-Id");
}

/**
 * Returns the key of `Idempotency-Key`, bare or in quotes; `undefined` without the header.
 *
 * @throws {Problem} `malformed` for an unusable key.
 */
export function idempotencyKey(c: Context): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  // In the header's draft the key is a quoted string; most clients send it without quotes.
  const text = key.startsWith('"') ? QUOTED.exec(key)?.[1]?.replace(/\\(["\\])/g, "$1") : key;
  return usableKey(text ?? "", "Idempotency-Key, bare or in quotes,");
}

/** @throws {Problem} `malformed` for a key that is not 1 to 255 printable ASCII characters. */
export function usableKey(key: unknown, name: string): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key === "string" && KEY.test(key)) return key;
  throw new Problem("malformed", `${name} must be 1 to 255 printable ASCII characters`);
}

async function publicForm(key: string): Promise<string> {
  return PLAIN_KEY.test(key) ? key : `sha256-${await hexDigest("SHA-256", key)}`;
}

/**
 * Returns the id of a request's record. It holds the scope with its length, so that no two pairs of scope and id share a
 * record. In the public scope it is the server-made UUID, which holds no colon and so equals no pair.
 *
 * @throws {CoordinationError} `misconfigured` for a missing scope: the request must not become readable for all clients.
 */
export async function recordIdOf(c: Context, scope: Scope, publicId: string): Promise<string> {
  if (scope === "public") return publicId;
  return joinParts([await shortScope(scopeOf(c, scope)), publicId]);
}

/**
 * Returns the owner of a request.
 *
 * @throws {CoordinationError} `misconfigured` for a missing scope, `invalid_input` for one that is too long.
 */
export function scopeOf(c: Context, scope: (c: Context) => string): string {
  const value: unknown = scope(c);
  if (typeof value !== "string" || value === "") {
    const message = "scope returned no text: is the middleware that authenticates mounted before this one?";
    throw new CoordinationError("misconfigured", message);
  }
  checkText(value, "scope", MAX_SCOPE_BYTES);
  return value;
}

/** A digest is longer than any plain scope, so that no scope equals a digest. */
async function shortScope(scope: string): Promise<string> {
  return PLAIN_SCOPE.test(scope) ? scope : `#${await hexDigest("SHA-256", scope)}`;
}
