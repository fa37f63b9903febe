import { readBody } from "../http/read-body.js";
import { systemClock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";

/** A response that is kept for duplicates. Its body is base64, which JSON does not lengthen; null: none. */
interface StoredResponse {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
}

/** The largest body that is kept. */
const MAX_BODY_BYTES = 65_536;
/** The largest header fields that are kept, in characters. */
const MAX_HEADER_CHARS = 8_192;
/** A body that takes longer to read is a stream. */
const READ_MS = 1_000;
/** Characters at a time: more would be too many arguments for a call. */
const CHUNK = 8_192;

/** Statuses of 4xx that say that the request was not processed, or that it may be processed later. */
const NOT_KEPT: ReadonlySet<number> = new Set([400, 401, 403, 408, 413, 415, 422, 425, 429]);

/** Header fields that describe the result. Without `content-encoding`, a compressed body could not be read. */
export const REPLAYED: readonly string[] = [
  "content-type",
  "content-encoding",
  "content-language",
  "content-location",
  "location",
  "etag",
  "last-modified",
  "link",
];

/** Returns whether a response of this status is kept: 2xx, 3xx, and the 4xx that another try would get too. */
export function isKept(status: number): boolean {
  return status >= 200 && status < 500 && !NOT_KEPT.has(status);
}

/** A response for the client, and its copy for duplicates. */
export interface Copied {
  readonly response: Response;
  /** `undefined` for a response that cannot be kept: it is too large, a stream, or broken. Never rejects. */
  readonly stored: Promise<StoredResponse | undefined>;
}

/** Copies the response. Does not delay the client, and goes on when the client disconnects. */
export function copied(response: Response, names: readonly string[]): Copied {
  const { status, body } = response;
  const headers = names.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  const isLong = headers.reduce((chars, [, value]) => chars + value.length, 0) > MAX_HEADER_CHARS;
  if (isLong || isStream(response)) return { response, stored: Promise.resolve(undefined) };
  if (body === null) return { response, stored: Promise.resolve({ status, headers, body: null }) };
  const [own, theirs] = body.tee();
  const stored = bytesOf(new Response(own)).then((bytes) => bytes && { status, headers, body: encoded(bytes) });
  return { response: new Response(theirs, response), stored };
}

/** Returns the response for a duplicate; `undefined` for a value that holds no response. */
export function replayed(value: unknown): Response | undefined {
  const { status, headers, body } = (value ?? {}) as Partial<StoredResponse>;
  if (typeof status !== "number" || !Array.isArray(headers)) return undefined;
  const response = new Response(typeof body === "string" ? decoded(body) : null, { status, headers });
  response.headers.set("Idempotency-Replayed", "true");
  return response;
}

function isStream({ status, headers, bodyUsed }: Response): boolean {
  const isEvents = /^text\/event-stream/i.test(headers.get("content-type") ?? "");
  const isLong = Number(headers.get("content-length") ?? 0) > MAX_BODY_BYTES;
  return isEvents || isLong || bodyUsed || status < 200 || headers.has("transfer-encoding");
}

async function bytesOf(response: Response): Promise<Uint8Array | undefined> {
  const limit = { limitMs: READ_MS, signal: undefined, clock: systemClock };
  try {
    return await within(limit, slow, (signal) => readBody(response, MAX_BODY_BYTES, signal));
  } catch {
    return undefined;
  }
}

const slow = (): Error => new Error("a stream");

function encoded(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(text);
}

function decoded(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
