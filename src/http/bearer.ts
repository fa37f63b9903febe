import { Problem } from "./problem.js";

/**
 * Returns the token of an `Authorization: Bearer` header: 1 to 512 visible ASCII characters. `undefined` for any other header.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export function bearerToken(header: string | null | undefined): string | undefined {
  return /^Bearer +([!-~]{1,512}) *$/i.exec(header ?? "")?.[1];
}

/** Returns the same as `bearerToken`, for a token that holds claims: 1 to 4,096 characters. */
export function bearerOfClaims(header: string | null | undefined): string | undefined {
  return /^Bearer +([!-~]{1,4096}) *$/i.exec(header ?? "")?.[1];
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
