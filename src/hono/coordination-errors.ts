import type { Context, Next } from "hono";
import { CoordinationError, type CoordinationErrorCode } from "../errors.js";
import { type Problem, problemResponse } from "../http/problem.js";

/** What `coordinationErrors()` returns: for `app.onError`, and for `app.use`. */
export interface CoordinationErrorHandler {
  (error: Error, c: Context): Response;
  (c: Context, next: Next): Promise<void>;
}

/** What `coordinationErrors` is made with. */
export interface CoordinationErrorsOptions {
  /**
   * Told of every error that is answered with a 5xx, for logs: the client reads little of it. Those of `drainRoutes` and
   * `requestStatusRoutes` too. What it throws is ignored.
   */
  readonly onError?: ((error: Error, c: Context) => void) | undefined;
}

/** A client that has gone reads no answer; logs show this one. */
const CLIENT_CLOSED = 499;

/**
 * Answers a `CoordinationError` with problem details: its status, a stable `code`, `retryable` and `applied`, and
 * `Retry-After` where it helps.
 *
 * What is the server's fault does not look like the client's, and says nothing of the server: `unauthorized` (the backend
 * knows the server's token no more) is a 502 `backend_rejected`, `rate_limited` (the backend has too much to do) a 503
 * `backend_unavailable`, and neither these nor `misconfigured`, a 500, show their messages. `onError` hears of the error as
 * it was thrown. `invalid_input` stays a 422: as a rule it is an id that came with the request.
 *
 * - `app.onError(coordinationErrors())`: an `HTTPException` gives its own response, any other error a plain 500 that says
 *   nothing of it.
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
 * A fault of a mounted route. It goes up to the application's error handler, so that its `onError` hears of it; one that
 * does not know it takes its response, as it does of an `HTTPException`.
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

/** For routes that are mounted: what is no `CoordinationError` is the app's, and of the server's faults it is told. */
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

/** Returns the problem as an answer, with the headers that middleware has set. */
export function refusal(c: Context, problem: Problem): Response {
  return ofContext(c, problemResponse(problem));
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
      // Nobody is left to tell.
    }
  }
  return ofContext(c, response);
}

function thrownOf<E extends Error | undefined>(error: E): E | CoordinationError {
  return error instanceof RouteFault ? error.error : error;
}

const REFUSED = ["backend_rejected", "the backend refused the server"] as const;
const AWAY = ["backend_unavailable", "the backend cannot answer now"] as const;
/** The server's faults, as a client may know them. */
const PUBLIC: { readonly [Code in CoordinationErrorCode]?: readonly [CoordinationErrorCode, string] } = {
  unauthorized: REFUSED,
  backend_rejected: REFUSED,
  rate_limited: AWAY,
  backend_unavailable: AWAY,
  misconfigured: ["misconfigured", "the server is misconfigured"],
};

/** What the client may know of it. */
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
function ofContext(c: Context, response: Response): Response {
  const merged = c.newResponse(response.body, response);
  // Hono merges the old answer's headers into a new one, and lets the old ones win: so the old answer goes first.
  // The new one must follow at once: without it Hono takes the context for answered, and makes an empty 200.
  c.res = undefined;
  c.res = merged;
  return merged;
}
