import type { Context, Next } from "hono";
import { CoordinationError, type CoordinationErrorCode } from "../errors.js";
import { type Problem, problemResponse } from "../http/problem.js";

/** The return type of `coordinationErrors()`: for `app.onError`, and for `app.use`. */
export interface CoordinationErrorHandler {
  (error: Error, c: Context): Response;
  (c: Context, next: Next): Promise<void>;
}

/** Options of `coordinationErrors`. */
export interface CoordinationErrorsOptions {
  /**
   * Receives every error that is answered with a 5xx, for logs: the client sees few details. Also receives those of
   * `drainRoutes` and `requestStatusRoutes`. Errors that it throws are ignored.
   */
  readonly onError?: ((error: Error, c: Context) => void) | undefined;
}

/** The status in logs for a client that has disconnected. */
const CLIENT_CLOSED = 499;

/**
 * Answers a `CoordinationError` with problem details: its status, a stable `code`, `retryable` and `applied`, and
 * `Retry-After` where it helps.
 *
 * Does not show errors of the server as errors of the client, nor their messages. `unauthorized` (the backend refuses the
 * server's token) becomes a 502 `backend_rejected`. `rate_limited` (the backend is overloaded) becomes a 503
 * `backend_unavailable`. The messages of these, and of `misconfigured` (500), are replaced. `onError` receives the original
 * error. `invalid_input` stays a 422: it is usually an id that came with the request.
 *
 * - `app.onError(coordinationErrors())`: an `HTTPException` gives its own response, any other error a plain 500 without
 *   details.
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
      ? answerAfter(first as Context, second, options)
      : answerTo(first as Error, second, options);
  }
  return coordinationErrors;
}

/**
 * A 5xx error of a mounted route. It goes to the application's error handler, so that its `onError` receives it. A handler
 * that does not know this class calls `getResponse`, as for an `HTTPException`.
 */
class RouteFault extends Error {
  override readonly name = "RouteFault";
  constructor(readonly error: CoordinationError) {
    super(error.message, { cause: error });
  }
  getResponse(): Response {
    return problemResponse(publicOf(this.error));
  }
}

/** Wraps a mounted route: answers a `CoordinationError` itself, or throws a `RouteFault` for a 5xx. Passes other errors on. */
export function withOwnErrors(route: (c: Context) => Promise<Response>): (c: Context) => Promise<Response> {
  return async function ownErrors(c) {
    try {
      return await route(c);
    } catch (error) {
      if (c.req.raw.signal.aborted) return gone(c);
      if (!(error instanceof CoordinationError)) throw error;
      const response = problemResponse(publicOf(error));
      if (response.status >= 500) throw new RouteFault(error);
      return ofContext(c, response);
    }
  };
}

/** Returns a response for the problem, with the headers that middleware has set. */
export function refusal(c: Context, problem: Problem): Response {
  return ofContext(c, problemResponse(problem));
}

/** Returns the error for the application's error handler. Its own response is problem details, also without a handler. */
export function faultOf(error: CoordinationError): Error {
  return new RouteFault(error);
}

async function answerAfter(c: Context, next: Next, options: CoordinationErrorsOptions): Promise<void> {
  await next();
  const error = thrownOf(c.error);
  if (error instanceof CoordinationError) c.res = answerTo(error, c, options);
}

function answerTo(thrown: Error, c: Context, { onError }: CoordinationErrorsOptions): Response {
  const error = thrownOf(thrown);
  const isOwn = error instanceof CoordinationError;
  if (!isOwn && !hasResponse(error) && c.req.raw.signal.aborted) return gone(c);
  const response = isOwn ? problemResponse(publicOf(error)) : hasResponse(error) ? error.getResponse() : plainFault();
  if (response.status >= 500) {
    try {
      onError?.(error, c);
    } catch {
      // An error of the hook is ignored.
    }
  }
  return ofContext(c, response);
}

function thrownOf<E extends Error | undefined>(error: E): E | CoordinationError {
  return error instanceof RouteFault ? error.error : error;
}

const REFUSED = ["backend_rejected", "the backend refused the server"] as const;
const AWAY = ["backend_unavailable", "the backend cannot answer now"] as const;
/** The code and message that a client sees for each error of the server. */
const PUBLIC: { readonly [Code in CoordinationErrorCode]?: readonly [CoordinationErrorCode, string] } = {
  unauthorized: REFUSED,
  backend_rejected: REFUSED,
  rate_limited: AWAY,
  backend_unavailable: AWAY,
  misconfigured: ["misconfigured", "the server is misconfigured"],
};

/** Returns the error that the client may see. */
function publicOf(error: CoordinationError): CoordinationError {
  const told = PUBLIC[error.code];
  return told === undefined ? error : new CoordinationError(...told, error);
}

function hasResponse(error: Error): error is Error & { getResponse(): Response } {
  return "getResponse" in error && typeof error.getResponse === "function";
}

function plainFault(): Response {
  const headers = { "content-type": "text/plain; charset=UTF-8", "cache-control": "no-store" };
  return new Response("Internal Server Error", { status: 500, headers });
}

function gone(c: Context): Response {
  return c.body(null, CLIENT_CLOSED as 500);
}

/** Returns the response with the headers that middleware has set, such as CORS. The response's own headers win. */
export function ofContext(c: Context, response: Response): Response {
  const merged = c.newResponse(response.body, response);
  // Hono merges the old response's headers into a new one, and prefers the old ones. So remove the old response first.
  // Set the new one at once: without it Hono treats the context as answered and returns an empty 200.
  c.res = undefined;
  c.res = merged;
  return merged;
}
