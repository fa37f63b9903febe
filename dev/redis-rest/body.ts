import type { IncomingMessage } from "node:http";
import { RestError } from "./rest-error.js";

/** The largest request body that is read, in bytes. */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

const tooLarge = () => new RestError(413, `ERR max request size exceeded. Limit: ${MAX_BODY_BYTES} bytes`);

/**
 * The request's body as it came.
 *
 * @throws RestError 413 as soon as it is known to be too large
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The rest of a body that is too large is read and thrown away by the server, so that the client sees the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @throws RestError 400 when the body is not JSON */
export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new RestError(400, "ERR failed to parse request body as JSON");
  }
}
