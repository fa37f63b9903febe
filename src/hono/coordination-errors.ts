import type { Context, Next } from "hono";
import { CoordinationError } from "../errors.js";
import { problemResponse } from "../problem.js";

/** What `coordinationErrors()` returns: for `app.onError`, and for `app.use`. */
export interface CoordinationErrorHandler {
  (error: Error, c: Context): Response;
  (c: Context, next: Next): Promise<void>;
}

/** What `coordinationErrors` is made with. */
export interface CoordinationErrorsOptions {
  /** Told of errors that nobody expected, for logs: as an error handler it is the only one who hears of them. */
  readonly onError?: ((error: Error, c: Context) => void) | undefined;
}

/** A client that has gone reads no answer; logs show this one. */
const CLIENT_CLOSED = 499;

/**
 * Answers a `CoordinationError` with problem details: its status, a stable `code`, `retryable` and `applied`, and
 * `Retry-After` where it helps. The same as the Worker's.
 *
 * - `app.onError(coordinationErrors())`: an `HTTPException` gives its own response, any other error a plain 500 that says
 *   nothing of it; `onError` hears of that one.
 * - `app.use(coordinationErrors())`, for some routes: other errors are left to the app. Hono's own error handler logs the
 *   error before this one sees it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9457
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { coordinationErrors } from "edge-coordinator/hono";
 *
 * const app = new Hono().onError(coordinationErrors({ onError: (error) => console.error(error) }));
 * ```
 */
export function coordinationErrors(options: CoordinationErrorsOptions = {}): CoordinationErrorHandler {
  function coordinationErrors(error: Error, c: Context): Response;
  function coordinationErrors(c: Context, next: Next): Promise<void>;
  function coordinationErrors(first: Error | Context, second: Context | Next): Response | Promise<void> {
    return typeof second === "function"
      ? answerAfter(first as Context, second)
      : answerTo(first as Error, second, options);
  }
  return coordinationErrors;
}

/** For routes that are mounted: what is no `CoordinationError` is the app's. */
export function ownErrors(error: Error, c: Context): Response {
  if (error instanceof CoordinationError || c.req.raw.signal.aborted) return answerTo(error, c);
  throw error;
}

async function answerAfter(c: Context, next: Next): Promise<void> {
  await next();
  if (!(c.error instanceof CoordinationError)) return;
  c.res = answerTo(c.error, c);
}

function answerTo(error: Error, c: Context, { onError }: CoordinationErrorsOptions = {}): Response {
  if (error instanceof CoordinationError) return ofContext(c, problemResponse(error));
  if ("getResponse" in error && typeof error.getResponse === "function") return ofContext(c, error.getResponse());
  if (c.req.raw.signal.aborted) return c.body(null, CLIENT_CLOSED as 500);
  try {
    onError?.(error, c);
  } catch {
    // Nobody is left to tell.
  }
  const headers = { "content-type": "text/plain; charset=UTF-8", "cache-control": "no-store" };
  return ofContext(c, new Response("Internal Server Error", { status: 500, headers }));
}

/** With the headers that middleware has set, such as CORS; its own win. */
function ofContext(c: Context, response: Response): Response {
  const merged = c.newResponse(response.body, response);
  // What stood there would be merged once more, and win.
  c.res = undefined;
  return merged;
}
