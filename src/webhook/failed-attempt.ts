import { CoordinationError } from "../errors.js";
import { networkCode } from "../http/network-code.js";
import { faultOfStatus } from "../http/remote-faults.js";
import { parseRetryAfter } from "../http/retry-after.js";

/** Returns the error for an answer that is not 2xx. Its body is never read. */
export function refusedAttempt(response: Response, host: string, nowMs: number): CoordinationError {
  const { status } = response;
  const { code, says, retryable: passes = false, applied = "no" } = faultOfStatus(status);
  const isRedirect = status === 0 || (status >= 300 && status < 400);
  return new CoordinationError(
    passes ? code : "backend_rejected",
    `webhook to ${host}: ${isRedirect ? says : `answered ${status}`}`,
    {
      // 410 Gone means that the receiver wants no more messages. Any other refusal may be fixed at the receiver.
      retryable: status !== 410,
      applied,
      retryAfterMs: passes ? parseRetryAfter(response.headers.get("retry-after"), nowMs) : undefined,
    },
  );
}

export function timedOutAttempt(host: string, timeoutMs: number): CoordinationError {
  return unanswered(`webhook to ${host}: no answer within ${timeoutMs} ms`);
}

/**
 * Returns the error for a failed request. The platform's own error may quote the URL, so only its code is shown, such as
 * `ECONNREFUSED`.
 */
export function brokenAttempt(host: string, fault: unknown): CoordinationError {
  return unanswered(`webhook to ${host}: no answer${networkCode(fault)}`);
}

function unanswered(message: string): CoordinationError {
  return new CoordinationError("backend_unavailable", message, { retryable: true, applied: "unknown" });
}
