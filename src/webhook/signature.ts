import { CoordinationError } from "../errors.js";
import { type Duration, inSeconds } from "../lib/duration.js";
import { timingSafeIndex } from "../lib/timing-safe.js";
import { OPTION_NAMES } from "./option-names.js";
import { importSecrets, type Mac, parseSecrets } from "./secret.js";

const SIGNATURE_VERSION = "v1";
const DEFAULT_TOLERANCE_SEC = 300;
const MAX_TOLERANCE_SEC = 86_400;
const MAX_SIGNATURES = 20;
/** The base64 of 32 bytes: every signature of this version has this form. */
const SIGNATURE = /^v1,[A-Za-z0-9+/]{43}=$/;
const MAX_TIMESTAMP_SEC = 99_999_999_999;

/** A message to sign, with the secret and the time: whole seconds since 1970, or a `Date` (cut to the second). */
export type SignInput = SignedMessage & {
  /** `whsec_…`. Several, as a list or separated by spaces, give one signature each, for a rotation. */
  readonly secret: string | readonly string[];
};

/** The parts of a message that a signature covers. */
export type SignedMessage = {
  /** 1 to 256 visible ASCII characters, without a full stop, which separates the signed parts. */
  readonly id: string;
  /** The body, exactly as it is sent. */
  readonly body: string | Uint8Array;
} & (
  | { readonly timestampSec: number; readonly timestamp?: never }
  | { readonly timestamp: Date; readonly timestampSec?: never }
);

/** Request headers: the web's `Headers`, or a record in any case (Node's `request.headers` fits). */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** A received message, and the secrets to check it with. */
export interface VerifyInput {
  /** The valid secrets, a list or separated by spaces. */
  readonly secrets: string | readonly string[];
  readonly headers: WebhookHeaders;
  /** The body as received, before any parsing. */
  readonly body: string | Uint8Array;
  /** The largest difference between the sender's clock and ours, in seconds: 0 to 86,400, default 300. Compares whole seconds. */
  readonly toleranceSec?: Duration;
  /** The current instant; default `Date.now()`. */
  readonly nowMs?: number;
}

/** A message with a valid signature. */
export interface VerifiedWebhook {
  /** The same for all attempts: use it as the idempotency key. */
  readonly id: string;
  /** When this attempt was signed, in milliseconds since 1970, cut to the second. */
  readonly timestampMs: number;
  /** The parsed JSON body. Its shape is not checked. */
  readonly payload: unknown;
  /**
   * The place in `secrets` of the first one that matches, from 0. With the new secret first, a rotation is complete when every
   * message has 0.
   */
  readonly secretIndex: number;
}

/**
 * Signs a message by Standard Webhooks. Returns the value of the `webhook-signature` header: `v1,<base64>` per secret,
 * joined by spaces.
 *
 * @throws CoordinationError `misconfigured` for a missing or malformed secret, `invalid_input` for an id or an instant
 *   out of range.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @example
 * const signature = await sign({ secret: env.WEBHOOK_SECRET, id: "msg_1", timestamp: new Date(), body: '{"ok":true}' });
 */
export async function sign(input: SignInput): Promise<string> {
  return signWith(await importSecrets(input.secret, { ...OPTION_NAMES, secrets: "secret" }), input);
}

/** `sign`, with secrets that were imported before. */
export async function signWith(macs: readonly Mac[], input: SignedMessage): Promise<string> {
  const timestampSec =
    input.timestamp === undefined ? input.timestampSec : Math.floor(input.timestamp.getTime() / 1000);
  if (!isMessageId(input.id)) {
    throw new CoordinationError("invalid_input", "id must be 1 to 256 visible ASCII characters without a full stop");
  }
  if (!Number.isInteger(timestampSec) || timestampSec < 0 || timestampSec > MAX_TIMESTAMP_SEC) {
    throw new CoordinationError("invalid_input", "timestampSec must be whole seconds since 1970");
  }
  const signatures = await signaturesOf(macs, signedContent(input.id, String(timestampSec), input.body));
  return signatures.join(" ");
}

/**
 * Checks a received message by Standard Webhooks and returns its content. Any valid secret may match any of its `v1`
 * signatures. Signatures of other versions are ignored. Signatures are compared in constant time.
 *
 * Does not detect replays: the same message passes again within the tolerance. Claim the `id` (`setIfAbsent`) before acting.
 *
 * @throws CoordinationError `unauthorized` when a header is missing, doubled or malformed, the timestamp is further off
 *   than `toleranceSec`, or no signature matches; `invalid_input` when a correctly signed body is not JSON, or an
 *   option is out of range; `misconfigured` for a missing or malformed secret.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @example
 * const { id, payload } = await verify({ secrets: env.WEBHOOK_SECRET, headers: request.headers, body: await request.text() });
 */
export async function verify(input: VerifyInput): Promise<VerifiedWebhook> {
  const { nowMs = Date.now() } = input;
  const toleranceSec = inSeconds(input.toleranceSec, "toleranceSec") ?? DEFAULT_TOLERANCE_SEC;
  if (!(toleranceSec >= 0 && toleranceSec <= MAX_TOLERANCE_SEC)) {
    throw new CoordinationError("invalid_input", `toleranceSec must be 0 to ${MAX_TOLERANCE_SEC}`);
  }
  if (!Number.isFinite(nowMs)) throw new CoordinationError("invalid_input", "nowMs must be finite");
  const secrets = parseSecrets(input.secrets);

  const id = header(input.headers, "webhook-id");
  const timestamp = header(input.headers, "webhook-timestamp");
  const presented = signaturesIn(header(input.headers, "webhook-signature"));
  if (!isMessageId(id)) throw unauthorized("webhook-id is malformed");
  if (!/^\d{1,11}$/.test(timestamp)) throw unauthorized("webhook-timestamp is malformed");
  if (Math.abs(Math.floor(nowMs / 1000) - Number(timestamp)) > toleranceSec) {
    throw unauthorized("webhook-timestamp is outside the tolerance");
  }

  // Computing HMACs is the expensive part: messages that cannot match have been refused above.
  const expected = await signaturesOf(await importSecrets(secrets), signedContent(id, timestamp, input.body));
  const secretIndex = await timingSafeIndex(presented, expected);
  if (secretIndex < 0) throw notMatching();
  return { id, timestampMs: Number(timestamp) * 1000, payload: parseBody(input.body), secretIndex };
}

/** Returns the `v1` signatures, each once. Other versions and malformed ones never match. */
function signaturesIn(text: string): string[] {
  const parts = text.split(" ", MAX_SIGNATURES + 1);
  if (parts.length > MAX_SIGNATURES) throw unauthorized("webhook-signature holds too many signatures");
  const signatures = new Set(parts.filter((part) => SIGNATURE.test(part)));
  if (signatures.size === 0) throw notMatching();
  return [...signatures];
}

/** A full stop in the id would let another message have the same signed content. */
function isMessageId(id: unknown): id is string {
  return typeof id === "string" && /^[!-\-/-~]{1,256}$/.test(id);
}

function signedContent(id: string, timestamp: string, body: string | Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const head = encoder.encode(`${id}.${timestamp}.`);
  const tail = typeof body === "string" ? encoder.encode(body) : body;
  const content = new Uint8Array(head.length + tail.length);
  content.set(head);
  content.set(tail, head.length);
  return content;
}

function signaturesOf(macs: readonly Mac[], content: Uint8Array): Promise<string[]> {
  return Promise.all(
    macs.map(async (mac) => `${SIGNATURE_VERSION},${btoa(String.fromCharCode(...(await mac(content))))}`),
  );
}

function header(headers: WebhookHeaders, name: string): string {
  const values =
    typeof headers.get === "function"
      ? [(headers as Headers).get(name)]
      : Object.entries(headers)
          .filter(([key]) => key.toLowerCase() === name)
          .map(([, value]) => value);
  const [value] = values;
  if (values.length > 1 || typeof value !== "string" || value === "") {
    throw unauthorized(`${name} is missing or not a single value`);
  }
  return value;
}

function parseBody(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(
      typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body),
    );
  } catch {
    // The JSON parser's own error quotes the body.
    throw new CoordinationError("invalid_input", "body is not JSON");
  }
}

function notMatching(): CoordinationError {
  return unauthorized("webhook-signature does not match");
}

function unauthorized(message: string): CoordinationError {
  return new CoordinationError("unauthorized", message);
}
