import type { Context } from "hono";
import { problemResponse } from "../http/problem.js";
import { timeIsOver } from "./end-in-time.js";

/** The `Retry-After` of an answer, in seconds. */
export const RETRY_AFTER_SEC = "1";

/** Headers that a problem does not copy from the response that it replaces. */
const OF_THE_BODY = /^(content-(?!security)|etag$|last-modified$|(repr-)?digest$)/;

/** Cache headers that CDNs prefer to `Cache-Control` (RFC 9213, and older ones of single CDNs). */
const OF_CACHES = /cdn-cache-control$|^(surrogate|edge)-control$/;

/**
 * Forbids every cache to store the response: it carries one request's id and counts, which no other client may read.
 * Replaces the handler's own caching headers.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9213
 */
export function keepFromCaches(c: Context): void {
  const { headers } = c.res;
  // Keep `no-transform`: a handler's event stream must not be compressed.
  const isAsItIs = /\bno-transform\b/i.test(headers.get("cache-control") ?? "");
  for (const name of [...headers.keys()]) if (OF_CACHES.test(name)) c.header(name, undefined);
  c.header("Cache-Control", isAsItIs ? "no-store, no-transform" : "no-store");
}

/** Returns whether the response can be held back: a success, and not a redirect or an event stream. */
export function isHoldable({ status, headers }: Response): boolean {
  const isStream = headers.has("transfer-encoding") || /^text\/event-stream/i.test(headers.get("content-type") ?? "");
  return status >= 200 && status < 300 && !isStream;
}

/** Returns the response to a complete request: a 202 becomes a 200 without `Retry-After`. */
export function doneAnswer(response: Response): Response {
  if (response.status !== 202) return response;
  return new Response(response.body, { status: 200, headers: headersWithout(response, /^retry-after$/) });
}

/**
 * Returns the 202 of a pending request. Keeps the `Location` of the handler's own 202. With another status, `Location` has
 * another meaning and is replaced.
 */
export function acceptedAnswer(response: Response, location: string): Response {
  const headers = new Headers(response.headers);
  if (response.status !== 202 || !headers.has("location")) headers.set("location", location);
  if (!headers.has("retry-after")) headers.set("retry-after", RETRY_AFTER_SEC);
  return new Response(response.body, { status: 202, headers });
}

/** Returns the 504 for a client that accepts no 202. Keeps headers of middleware (CORS, cookies). */
export function timeoutAnswer(response: Response, location: string): Response {
  response.body?.cancel().catch(() => undefined);
  const problem = problemResponse(timeIsOver());
  const headers = headersWithout(response, OF_THE_BODY);
  problem.headers.forEach((value, name) => void headers.set(name, value));
  headers.set("location", location);
  headers.set("retry-after", RETRY_AFTER_SEC);
  return new Response(problem.body, { status: problem.status, headers });
}

/** Returns a copy of the response's headers without those that match. */
export function headersWithout(response: Response, names: RegExp): Headers {
  const headers = new Headers(response.headers);
  for (const name of [...headers.keys()]) if (names.test(name)) headers.delete(name);
  return headers;
}
