import { CoordinationError } from "../errors.js";

const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;
const MAX_LIVE_SECRETS = 10;

/**
 * Reads one or more signing secrets, as an environment variable holds them (separated by spaces) or as a list, and refuses
 * what is not a secret: each is `whsec_` and the base64 of 24 to 64 bytes. At most 10 at a time.
 *
 * @throws CoordinationError `misconfigured` when there is none, too many, or one is malformed. The message tells its
 *   place in the list and never its text.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @example
 * const secrets = parseSecrets(env.WEBHOOK_SECRET); // "whsec_<new> whsec_<old>"
 */
export function parseSecrets(secrets: string | readonly string[]): string[] {
  const found = split(secrets);
  if (!(found.length >= 1 && found.length <= MAX_LIVE_SECRETS)) {
    throw misconfigured(`secrets must be 1 to ${MAX_LIVE_SECRETS} signing secrets`);
  }
  found.forEach(decodeSecret);
  return [...found];
}

/** The HMAC key of each secret, in their order. */
export function importKeys(secrets: string | readonly string[]): Promise<CryptoKey[]> {
  return Promise.all(
    parseSecrets(secrets).map((secret, i) =>
      crypto.subtle.importKey("raw", decodeSecret(secret, i), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]),
    ),
  );
}

/** A missing environment variable arrives here untyped: it counts as empty. */
function split(secrets: string | readonly string[]): readonly string[] {
  return typeof secrets === "string" ? secrets.split(/\s+/).filter((part) => part !== "") : (secrets ?? []);
}

function decodeSecret(secret: string, index: number): Uint8Array<ArrayBuffer> {
  const [, text] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const bytes = text === undefined ? undefined : decodeBase64(text);
  if (bytes === undefined || bytes.length < MIN_SECRET_BYTES || bytes.length > MAX_SECRET_BYTES) {
    throw misconfigured(
      `secrets[${index}] must be "whsec_" and the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`,
    );
  }
  return bytes;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function misconfigured(message: string): CoordinationError {
  return new CoordinationError("misconfigured", message);
}
