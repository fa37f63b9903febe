import { CoordinationError } from "../errors.js";
import { decodeBase64Url, encodeBase64Url } from "./base64url.js";
import type { SigningKey, TokenKind } from "./signing-key.js";

/** The longest token, in characters. Longer ones are refused unread. */
export const MAX_TOKEN_LENGTH = 4_096;
/** How far the clock of the signing machine may be ahead, in milliseconds. */
const LEEWAY_MS = 60_000;

/** When a token was signed and when it expires, in seconds since 1970. */
export interface Lifetime {
  readonly iat: number;
  readonly exp: number;
}

/**
 * How claims become the payload of a token. `read` checks a payload's JSON value and throws for an invalid one. `write` returns
 * the object whose JSON is the payload: the only accepted text for these claims.
 */
export interface ClaimsForm<Claims extends Lifetime> {
  readonly kind: TokenKind;
  read(payload: unknown): Claims;
  write(claims: Claims): object;
}

/** Returns the segments of a text that has the shape of a token. */
export function segmentsOf(text: string): { header: string; payload: string; mac: string } | undefined {
  if (text.length > MAX_TOKEN_LENGTH) return undefined;
  const [, header, payload, mac] = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(text) ?? [];
  return header === undefined || payload === undefined || mac === undefined ? undefined : { header, payload, mac };
}

/** @throws {CoordinationError} `invalid_input` when the token would be longer than 4,096 characters. */
export async function signToken<Claims extends Lifetime>(
  key: SigningKey,
  form: ClaimsForm<Claims>,
  claims: Claims,
): Promise<string> {
  const content = `${key.headers[form.kind]}.${payloadOf(form, claims)}`;
  const signed = `${content}.${encodeBase64Url(await key.sign(content))}`;
  if (signed.length <= MAX_TOKEN_LENGTH) return signed;
  throw new CoordinationError(
    "invalid_input",
    `the ids must be shorter, or the tasks fewer: ${MAX_TOKEN_LENGTH} characters`,
  );
}

/**
 * Returns the claims of a token that this key has signed, if it is valid now. `undefined` for any other text, without a reason:
 * a caller that guesses learns nothing.
 *
 * Compares the header, checks the MAC, then writes the claims again: a payload with another text is refused. So no duplicate
 * claim, space, escape or unknown claim is ever interpreted.
 */
export async function openToken<Claims extends Lifetime>(
  key: SigningKey,
  form: ClaimsForm<Claims>,
  { text, nowMs }: { readonly text: string; readonly nowMs: number },
): Promise<Claims | undefined> {
  const segments = segmentsOf(text);
  if (segments?.header !== key.headers[form.kind]) return undefined;
  const mac = decodeBase64Url(segments.mac);
  if (mac === undefined || !(await key.isSignedBy(`${segments.header}.${segments.payload}`, mac))) return undefined;
  const claims = claimsIn(form, segments.payload);
  if (claims === undefined || payloadOf(form, claims) !== segments.payload) return undefined;
  return claims.iat * 1000 <= nowMs + LEEWAY_MS && nowMs < claims.exp * 1000 ? claims : undefined;
}

function payloadOf<Claims extends Lifetime>(form: ClaimsForm<Claims>, claims: Claims): string {
  return encodeBase64Url(new TextEncoder().encode(JSON.stringify(form.write(claims))));
}

function claimsIn<Claims extends Lifetime>(form: ClaimsForm<Claims>, payload: string): Claims | undefined {
  const bytes = decodeBase64Url(payload);
  if (bytes === undefined) return undefined;
  try {
    return form.read(JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)));
  } catch {
    return undefined;
  }
}
