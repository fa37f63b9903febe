import { CoordinationError } from "../../errors.js";
import { faultOfRedis, faultOfStatus, type RemoteFault } from "../../http/remote-faults.js";
import { parseRetryAfter } from "../../http/retry-after.js";

/**
 * What Redis answered in place of a result. Its text may quote keys and values, so that it never leaves this folder: callers see
 * `explainRefusal`.
 */
export class Refused extends Error {
  constructor(readonly text: string) {
    super("refused");
  }
}

/** Whether a write may have been applied whose answer was lost; `"no"` for a read. */
export type Applied = "no" | "unknown";

export function unavailable(what: string, applied: Applied): CoordinationError {
  return new CoordinationError("backend_unavailable", `Upstash ${what}`, { retryable: true, applied });
}

export function unexpectedReply(applied: Applied): CoordinationError {
  const message = "unexpected response from Upstash: check url";
  return new CoordinationError("backend_rejected", message, { applied });
}

/** Returns what an answer says that is not 2xx: what Redis says in its body, or what the status says. */
export function explainStatus({ status, headers }: Response, error: unknown, applied: Applied): Error {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), Date.now());
  // 400 is how the REST server hands on what Redis refused. Other statuses are its own, but for what Redis says of its limits.
  if (typeof error === "string" && (status === 400 || faultOfRedis(error).code !== "backend_rejected")) {
    return new Refused(error);
  }
  const fault = faultOfStatus(status);
  return faultError({ retryAfterMs, ...fault }, fault.applied === "unknown" ? applied : "no");
}

export function explainRefusal({ text }: Refused): CoordinationError {
  if (text.includes("refused:newer_schema")) {
    return new CoordinationError("backend_rejected", "the record was written by a later version");
  }
  return faultError(faultOfRedis(text));
}

function faultError({ code, says, ...options }: RemoteFault, applied = options.applied): CoordinationError {
  return new CoordinationError(code, `Upstash ${says}`, { ...options, ...(applied === undefined ? {} : { applied }) });
}

/** Puts what Redis refused into words of ours. */
export function explained(error: unknown): unknown {
  return error instanceof Refused ? explainRefusal(error) : error;
}
