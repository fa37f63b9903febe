import { CoordinationError } from "../errors.js";
import { parseRetryAfter } from "../retry-after.js";

/** The error for an answer that is not 2xx. Its body is never read. */
export function refusedAttempt(response: Response, host: string, nowMs: number): CoordinationError {
  const { status } = response;
  // 0: how a browser shows a redirect that it was told not to follow.
  const isRedirect = status === 0 || (status >= 300 && status < 400);
  const isTransient = status >= 500 || status === 408 || status === 425 || status === 429;
  const retryAfterMs = isTransient ? parseRetryAfter(response.headers.get("retry-after"), nowMs) : undefined;
  return new CoordinationError(
    status === 429 ? "rate_limited" : isTransient ? "backend_unavailable" : "backend_rejected",
    `webhook to ${host}: ${isRedirect ? "answered with a redirect, which is not followed" : `answered ${status}`}`,
    {
      // 410 Gone asks to be left alone; anything else may be mended at the receiver's end.
      retryable: status !== 410,
      applied: status >= 500 || status === 408 ? "unknown" : "no",
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  );
}

export function timedOutAttempt(host: string, timeoutMs: number): CoordinationError {
  return unanswered(`webhook to ${host}: no answer within ${timeoutMs} ms`);
}

/** The platform's own error may quote the URL; of it only a system code such as `ECONNREFUSED` is told. */
export function brokenAttempt(host: string, fault: unknown): CoordinationError {
  const code = systemCode(fault) ?? (fault instanceof Error ? systemCode(fault.cause) : undefined);
  return unanswered(`webhook to ${host}: no answer${code === undefined ? "" : ` (${code})`}`);
}

function unanswered(message: string): CoordinationError {
  return new CoordinationError("backend_unavailable", message, { retryable: true, applied: "unknown" });
}

function systemCode(fault: unknown): string | undefined {
  const code = typeof fault === "object" && fault !== null && "code" in fault ? fault.code : undefined;
  return typeof code === "string" && /^[A-Z][A-Z_]{1,39}$/.test(code) ? code : undefined;
}
