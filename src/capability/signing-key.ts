import { CoordinationError } from "../errors.js";
import { separated } from "../lib/separated.js";
import { decodeBase64Url, encodeBase64Url } from "./base64url.js";

const MIN_KEY_BYTES = 32;
const MAX_KEY_BYTES = 64;
const MAX_KEYS = 10;
/** The part of the key's own MAC that names it, in bytes. */
const KEY_ID_BYTES = 12;

/** The kinds of tokens. The header names the kind, so that a token of one kind is never read as the other. */
export type TokenKind = "capability" | "callback";

/** A key that signs tokens by HMAC-SHA-256. */
export interface SigningKey {
  /** The first segment of all tokens that this key signs, by kind. */
  readonly headers: Readonly<Record<TokenKind, string>>;
  sign(content: string): Promise<Uint8Array>;
  /** Compares in constant time. */
  isSignedBy(content: string, mac: Uint8Array): Promise<boolean>;
}

/**
 * Reads one key or several, as a variable holds them (separated by spaces) or as a list. Each is `capk_` and the base64url of
 * 32 to 64 random bytes.
 *
 * @param field the name of the variable or option in errors.
 * @throws {CoordinationError} `misconfigured` when there is none, when there are more than 10, or when one is malformed.
 */
export function readKeys(keys: string | readonly string[], field: string): Uint8Array<ArrayBuffer>[] {
  // A missing environment variable arrives here untyped: it counts as empty.
  const texts = typeof keys === "string" ? separated(keys) : (keys ?? []);
  if (!(texts.length >= 1 && texts.length <= MAX_KEYS)) {
    throw new CoordinationError("misconfigured", `${field} must hold 1 to ${MAX_KEYS} keys`);
  }
  return texts.map((text) => {
    const bytes = typeof text === "string" && text.startsWith("capk_") ? decodeBase64Url(text.slice(5)) : undefined;
    if (bytes === undefined || bytes.length < MIN_KEY_BYTES || bytes.length > MAX_KEY_BYTES) {
      const form = `"capk_" and the base64url of ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} bytes`;
      throw new CoordinationError("misconfigured", `${field}: a key must be ${form}`);
    }
    return bytes;
  });
}

/** Returns the keys of `readKeys`, ready to sign. The first one signs new tokens. */
export function importKeys(keys: string | readonly string[], field: string): Promise<SigningKey[]> {
  return Promise.all(readKeys(keys, field).map(importKey));
}

async function importKey(bytes: Uint8Array<ArrayBuffer>): Promise<SigningKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign", "verify"]);
  const sign = async (content: string): Promise<Uint8Array> =>
    new Uint8Array(await crypto.subtle.sign("HMAC", key, encoded(content)));
  // No content of a token equals this text: a token's content holds a full stop.
  const keyId = encodeBase64Url((await sign("edge-coordinator key id")).subarray(0, KEY_ID_BYTES));
  const header = (kind: TokenKind): string =>
    encodeBase64Url(encoded(JSON.stringify({ alg: "HS256", kid: keyId, typ: `${kind}+jwt` })));
  return {
    headers: { capability: header("capability"), callback: header("callback") },
    sign,
    isSignedBy: (content, mac) => crypto.subtle.verify("HMAC", key, mac as Uint8Array<ArrayBuffer>, encoded(content)),
  };
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}
