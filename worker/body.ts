import { Problem } from "../src/problem.js";
import { depthOf, MAX_DEPTH } from "./json.js";

/** The most that one request may carry, in bytes. */
export const MAX_BODY_BYTES = 262_144;

/**
 * The request's JSON. What is too large is refused by its announced length, and again while it is being read, whatever
 * was announced.
 *
 * @throws {Problem} `unsupported_media_type`, `too_large`, `malformed`.
 */
export async function readJson(request: Request): Promise<unknown> {
  checkType(request);
  return parsed(await readCapped(request));
}

/** `readJson`, or `undefined` for a request without a body, whatever type it announces. */
export async function readOptionalJson(request: Request): Promise<unknown> {
  const bytes = await readCapped(request);
  if (bytes.length === 0) return undefined;
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
    // The parser's own error quotes the body.
    throw new Problem("malformed", "the body is not JSON in UTF-8");
  }
  if (depthOf(value) > MAX_DEPTH) throw new Problem("malformed", `the JSON is nested deeper than ${MAX_DEPTH} levels`);
  return value;
}

async function readCapped({ headers, body }: Request): Promise<Uint8Array> {
  if (Number(headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  let bytes = new Uint8Array();
  let length = 0;
  const reader = body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    if (done || value === undefined) return bytes.subarray(0, length);
    const needed = length + value.length;
    if (needed > MAX_BODY_BYTES) {
      // Whether the sender hears of it or not: nothing more is read.
      reader?.cancel().catch(() => undefined);
      throw tooLarge();
    }
    if (needed > bytes.length) bytes = grown(bytes, needed);
    bytes.set(value, length);
    length = needed;
  }
}

/** Chunks are copied and let go of: workerd makes 4 KB for each, and a sender may put one byte into it. */
function grown(bytes: Uint8Array, needed: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(needed, Math.min(2 * bytes.length, MAX_BODY_BYTES)));
  larger.set(bytes);
  return larger;
}

function tooLarge(): Problem {
  return new Problem("too_large", `the body must be at most ${MAX_BODY_BYTES} bytes`);
}
