import { Problem } from "./problem.js";

/** The longest token, unless a caller allows longer ones. */
const MAX_LENGTH = 512;

/**
 * Returns the token of an `Authorization: Bearer` header: visible ASCII characters, 1 to `maxLength` of them. `undefined` for
 * any other header.
 *
 * @param maxLength default 512.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export function bearerToken(header: string | null | undefined, maxLength = MAX_LENGTH): string | undefined {
  const found = /^Bearer +([!-~]+) *$/i.exec(header ?? "")?.[1];
  return found === undefined || found.length > maxLength ? undefined : found;
}

/**
 * Returns the refusal of a request whose token is missing, or is not one of the valid ones.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 */
export function unauthorized(realm: string, detail: string, error?: "invalid_token"): Problem {
  const challenge = `Bearer realm="${realm}"${error === undefined ? "" : `, error="${error}"`}`;
  return new Problem("unauthorized", detail, { "www-authenticate": challenge });
}

/**
 * Returns the refusal of a request whose token is valid, but does not allow this call.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1
 */
export function forbidden(realm: string, detail: string): Problem {
  const challenge = `Bearer realm="${realm}", error="insufficient_scope"`;
  return new Problem("forbidden", detail, { "www-authenticate": challenge });
}
