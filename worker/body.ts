import { Problem } from "../src/http/problem.js";
import { BodyTooLarge, readBody } from "../src/http/read-body.js";
import { type Clock, systemClock } from "../src/lib/clock.js";
import { within } from "../src/runtime/deadline.js";
import { depthOf, MAX_DEPTH } from "./json.js";

/** The largest body of a request, in bytes. */
export const MAX_BODY_BYTES = 262_144;
/** How long a body may take to arrive, in milliseconds. At 26 KB a second the largest body arrives in time. */
const MAX_BODY_MS = 10_000;

/**
 * Returns the request's JSON. Refuses a large body by its `Content-Length`, and again while it is read. Refuses a body that
 * has not arrived after ten seconds.
 *
 * @throws {Problem} `unsupported_media_type`, `too_large`, `request_timeout`, `malformed`.
 */
export async function readJson(request: Request, clock: Clock = systemClock): Promise<unknown> {
  checkType(request);
  return parsed(await readAny(request, clock));
}

/** Returns the request's JSON, or an empty object for a request without a body, whatever its `Content-Type` is. */
export async function readOptionalJson(request: Request, clock: Clock = systemClock): Promise<unknown> {
  const bytes = await readAny(request, clock);
  if (bytes.length === 0) return {};
  checkType(request);
  return parsed(bytes);
}

function checkType({ headers }: Request): void {
  const type = headers.get("content-type") ?? "";
  const encoding = headers.get("content-encoding") ?? "identity";
  if (!/^application\/json\s*(;|$)/i.test(type) || encoding.toLowerCase() !== "identity") {
    throw new Problem("unsupported_media_type", "send JSON, uncompressed, with `Content-Type: application/json`");
  }
}

function parsed(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    // The JSON parser's own error quotes the body.
    throw new Problem("malformed", "the body is not JSON in UTF-8");
  }
  if (depthOf(value) > MAX_DEPTH) throw new Problem("malformed", `the JSON is nested deeper than ${MAX_DEPTH} levels`);
  return value;
}

/**
 * Returns the bytes of a body of any type, up to the limits. Also ends when the client disconnects.
 *
 * @throws {Problem} `too_large`, `request_timeout`.
 */
export async function readAny(request: Request, clock: Clock = systemClock): Promise<Uint8Array> {
  try {
    return await within({ limitMs: MAX_BODY_MS, signal: request.signal, clock }, tooSlow, (signal) =>
      readBody(request, MAX_BODY_BYTES, signal),
    );
  } catch (error) {
    throw error instanceof BodyTooLarge
      ? new Problem("too_large", `the body must be at most ${MAX_BODY_BYTES} bytes`)
      : error;
  }
}

function tooSlow(): Problem {
  return new Problem(
    "request_timeout",
    `the body must arrive within ${MAX_BODY_MS} ms: send it again, or less at a time`,
  );
}
