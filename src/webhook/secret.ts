import { misconfigured } from "../lib/misconfigured.js";
import { separated } from "../lib/separated.js";
import { OPTION_NAMES, type OptionNames } from "./option-names.js";

const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;
const MAX_LIVE_SECRETS = 10;

/**
 * Reads one or more signing secrets, as an environment variable holds them (separated by spaces) or as a list. Each is
 * `whsec_` and the base64 of 24 to 64 bytes. At most 10 at a time.
 *
 * @throws CoordinationError `misconfigured` when there is none, too many, or one is malformed. The message gives its
 *   place in the list and never its text.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @example
 * const secrets = parseSecrets(env.WEBHOOK_SECRET); // "whsec_<new> whsec_<old>"
 */
export function parseSecrets(secrets: string | readonly string[]): string[] {
  return readSecrets(secrets).map(({ text }) => text);
}

/** A secret as text, and its key bytes. */
interface LiveSecret {
  readonly text: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** `parseSecrets`, with errors that use the caller's name of the option. */
export function readSecrets(secrets: string | readonly string[], names: OptionNames = OPTION_NAMES): LiveSecret[] {
  const found = split(secrets);
  if (!(found.length >= 1 && found.length <= MAX_LIVE_SECRETS)) {
    throw misconfigured(`${names.secrets} must be 1 to ${MAX_LIVE_SECRETS} signing secrets`);
  }
  return found.map((text, i) => ({
    text,
    bytes: decodeSecret(text, () => names.entryOf(names.secrets, i, found.length)),
  }));
}

/** Returns the HMAC of a content under one secret. Uses no type of WebCrypto, since Node's declarations have no global ones. */
export type Mac = (content: Uint8Array) => Promise<Uint8Array>;

/** Imports each secret, in their order. */
export function importSecrets(secrets: string | readonly string[], names: OptionNames = OPTION_NAMES): Promise<Mac[]> {
  return Promise.all(
    readSecrets(secrets, names).map(async ({ bytes }) => {
      const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      return async (content) =>
        new Uint8Array(await crypto.subtle.sign("HMAC", key, content as Uint8Array<ArrayBuffer>));
    }),
  );
}

/** A missing environment variable arrives here untyped: it counts as empty. */
function split(secrets: string | readonly string[]): readonly string[] {
  return typeof secrets === "string" ? separated(secrets) : (secrets ?? []);
}

function decodeSecret(secret: string, name: () => string): Uint8Array<ArrayBuffer> {
  const [, text] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const bytes = text === undefined ? undefined : decodeBase64(text);
  if (bytes === undefined || bytes.length < MIN_SECRET_BYTES || bytes.length > MAX_SECRET_BYTES) {
    throw misconfigured(
      `${name()} must be "whsec_" and the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`,
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
