import type { Context } from "hono";
import { problemResponse } from "../http/problem.js";
import { timeIsOver } from "./end-in-time.js";

/** When to come again, in seconds. */
export const RETRY_AFTER_SEC = "1";

/** What a problem does not take over from the answer in whose place it stands. */
const OF_THE_BODY = /^(content-(?!security)|etag$|last-modified$|(repr-)?digest$)/;

/** Headers that a CDN obeys before `Cache-Control` (RFC 9213, and older ones of single CDNs). */
const OF_CACHES = /cdn-cache-control$|^(surrogate|edge)-control$/;

/**
 * Forbids every cache to store the answer: it carries one request's id and counts, which no other client may get. Replaces
 * the handler's own caching headers.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9213
 */
export function keepFromCaches(c: Context): void {
  const { headers } = c.res;
  // A handler's event stream must still not be compressed.
  const isAsItIs = /\bno-transform\b/i.test(headers.get("cache-control") ?? "");
  for (const name of [...headers.keys()]) if (OF_CACHES.test(name)) c.header(name, undefined);
  c.header("Cache-Control", isAsItIs ? "no-store, no-transform" : "no-store");
}

/** Whether the handler did what it was asked for, and its answer can be held back: no error, no redirect, no event stream. */
export function isHoldable({ status, headers }: Response): boolean {
  const isStream = headers.has("transfer-encoding") || /^text\/event-stream/i.test(headers.get("content-type") ?? "");
  return status >= 200 && status < 300 && !isStream;
}

/** The answer once all is done: what was accepted is no longer to be waited for. */
export function doneAnswer(response: Response): Response {
  if (response.status !== 202) return response;
  return new Response(response.body, { status: 200, headers: headersWithout(response, /^retry-after$/) });
}

/** The answer while the work goes on. A `Location` of the handler's own 202 stays; that of another status meant another thing. */
export function acceptedAnswer(response: Response, location: string): Response {
  const headers = new Headers(response.headers);
  if (response.status !== 202 || !headers.has("location")) headers.set("location", location);
  if (!headers.has("retry-after")) headers.set("retry-after", RETRY_AFTER_SEC);
  return new Response(response.body, { status: 202, headers });
}

/** The answer to a client that takes no 202. What middleware has said (CORS, cookies) stays said. */
export function timeoutAnswer(response: Response, location: string): Response {
  response.body?.cancel().catch(() => undefined);
  const problem = problemResponse(timeIsOver());
  const headers = headersWithout(response, OF_THE_BODY);
  problem.headers.forEach((value, name) => void headers.set(name, value));
  headers.set("location", location);
  headers.set("retry-after", RETRY_AFTER_SEC);
  return new Response(problem.body, { status: problem.status, headers });
}

/** A copy of the response's headers, without those of some names. */
export function headersWithout(response: Response, names: RegExp): Headers {
  const headers = new Headers(response.headers);
  for (const name of [...headers.keys()]) if (names.test(name)) headers.delete(name);
  return headers;
}
