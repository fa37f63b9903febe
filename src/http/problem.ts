import { CoordinationError, type CoordinationErrorCode } from "../errors.js";

/** The `code` of a problem, for programs: the library's codes, and those that only HTTP has. */
export type ProblemCode =
  | CoordinationErrorCode
  | "malformed"
  | "forbidden"
  | "suspended"
  | "not_found"
  | "method_not_allowed"
  | "request_timeout"
  | "gone"
  | "too_large"
  | "unsupported_media_type"
  | "internal";

const STATUS: Readonly<Record<ProblemCode, number>> = {
  malformed: 400,
  unauthorized: 401,
  forbidden: 403,
  suspended: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  gone: 410,
  too_large: 413,
  unsupported_media_type: 415,
  invalid_input: 422,
  limit_exceeded: 422,
  rate_limited: 429,
  internal: 500,
  misconfigured: 500,
  unsupported: 501,
  backend_rejected: 502,
  backend_unavailable: 503,
  wait_timeout: 504,
};

/** The status phrases that are the titles of `about:blank` problems. */
const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** The `Retry-After` when the error has none. */
const RETRY_AFTER_MS = 1_000;

/** A refusal that exists only in HTTP. `detail` never quotes what the caller sent. */
export class Problem extends Error {
  override readonly name = "Problem";
  constructor(
    readonly code: ProblemCode,
    detail: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
  }
}

/** The part of an error that the caller receives. */
interface Told {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly retryable: boolean;
  readonly applied: "no" | "unknown";
  readonly retryAfterMs?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

function toldOf(error: unknown): Told {
  if (error instanceof Problem) {
    const { code, message, headers } = error;
    return { code, detail: message, retryable: code === "request_timeout", applied: "no", headers };
  }
  if (error instanceof CoordinationError) {
    const { code, message, retryable, applied, retryAfterMs } = error;
    return { code, detail: message, retryable, applied, retryAfterMs };
  }
  return { code: "internal", detail: "the server failed", retryable: false, applied: "unknown" };
}

/** Whether the error was thrown on purpose. */
export function isExpected(error: unknown): boolean {
  return error instanceof Problem || error instanceof CoordinationError;
}

/** Problem details, and the `Retry-After` where a retry may succeed. */
export interface ProblemDetails {
  readonly body: {
    readonly type: string;
    readonly title: string | undefined;
    readonly status: number;
    readonly detail: string;
    readonly code: ProblemCode;
    readonly retryable: boolean;
    readonly applied: "no" | "unknown";
  };
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly retryAfterSec: number | undefined;
}

/**
 * Returns an error as problem details with a stable `code`, and with the `retryable` and `applied` of a
 * `CoordinationError`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9457
 */
export function problemOf(error: unknown): ProblemDetails {
  const { code, detail, retryable, applied, retryAfterMs, headers } = toldOf(error);
  // A limit that passes with time is a matter of the caller's rate (429). Any other limit is a matter of the input
  // (422).
  const status = code === "limit_exceeded" && retryable ? 429 : STATUS[code];
  const isPassing = status === 429 || status === 503;
  return {
    body: { type: "about:blank", title: TITLES[status], status, detail, code, retryable, applied },
    headers,
    retryAfterSec: isPassing ? Math.ceil((retryAfterMs ?? RETRY_AFTER_MS) / 1000) : undefined,
  };
}

/** Returns the HTTP response for an error. */
export function problemResponse(error: unknown): Response {
  const { body, headers, retryAfterSec } = problemOf(error);
  const { status } = body;
  const response = Response.json(body, { status, headers: { ...headers, "cache-control": "no-store" } });
  response.headers.set("content-type", "application/problem+json");
  if (retryAfterSec !== undefined) response.headers.set("retry-after", String(retryAfterSec));
  return response;
}
