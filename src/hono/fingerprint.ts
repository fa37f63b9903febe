import type { Context } from "hono";
import { CoordinationError } from "../errors.js";
import { Problem } from "../http/problem.js";
import { BodyTooLarge, readBody } from "../http/read-body.js";
import { hexDigest } from "../lib/digest.js";

/** The largest body that is read for its digest. */
const MAX_BODY_BYTES = 1_048_576;

/**
 * Returns a digest of the method, the path with its query, the content type and the raw body. The handler can still read
 * the body.
 *
 * @throws {Problem} `too_large` for a body of more than 1 MB.
 * @throws {CoordinationError} `misconfigured` when the raw body is not available any more.
 */
export async function fingerprintOf(c: Context): Promise<string> {
  const { method, url, headers } = c.req.raw;
  const { pathname, search } = new URL(url);
  const digest = await hexDigest("SHA-256", await rawBody(c));
  const parts = [method, pathname + search, headers.get("content-type") ?? "", digest];
  return hexDigest("SHA-256", JSON.stringify(parts));
}

async function rawBody(c: Context): Promise<Uint8Array> {
  const { raw } = c.req;
  try {
    // A clone leaves the handler everything: the body, the signal, and what a platform adds to its requests.
    return raw.bodyUsed ? await bytesRead(c) : await readBody(raw.clone(), MAX_BODY_BYTES, raw.signal);
  } catch (error) {
    if (!(error instanceof BodyTooLarge)) throw error;
    throw new Problem("too_large", `the body of a request with a key must be at most ${MAX_BODY_BYTES} bytes`);
  }
}

/** Returns the body that earlier middleware has read by `c.req`, which remembers it. */
async function bytesRead(c: Context): Promise<Uint8Array> {
  // A form that was parsed gets another boundary each time that it is written again.
  if ("formData" in c.req.bodyCache || Object.keys(c.req.bodyCache).length === 0) {
    const message = "idempotency needs the raw body, which was read before: mount it earlier, or set fingerprint";
    throw new CoordinationError("misconfigured", message);
  }
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.length > MAX_BODY_BYTES) throw new BodyTooLarge();
  return bytes;
}
