import { CoordinationError } from "../../errors.js";
import { faultOfRedis, faultOfStatus, type RemoteFault } from "../../http/remote-faults.js";
import { parseRetryAfter } from "../../http/retry-after.js";

/**
 * An error that Redis returned. Its text may quote keys and values, so it never leaves this folder: callers receive
 * `explainRefusal`.
 */
export class Refused extends Error {
  constructor(readonly text: string) {
    super("refused");
  }
}

/** Whether a write with a lost answer may have been applied; `"no"` for a read. */
export type Applied = "no" | "unknown";

export function unavailable(what: string, applied: Applied): CoordinationError {
  return new CoordinationError("backend_unavailable", `Upstash ${what}`, { retryable: true, applied });
}

export function unexpectedReply(applied: Applied): CoordinationError {
  const message = "unexpected response from Upstash: check url";
  return new CoordinationError("backend_rejected", message, { applied });
}

/** Returns the error of an answer that is not 2xx: the Redis error in its body, or the meaning of the status. */
export function explainStatus({ status, headers }: Response, error: unknown, applied: Applied): Error {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), Date.now());
  // The REST server answers 400 with an error of Redis. Other statuses are its own, unless the body is a limit error of Redis.
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

/** Replaces an error of Redis with one of ours, and returns any other error unchanged. */
export function explained(error: unknown): unknown {
  return error instanceof Refused ? explainRefusal(error) : error;
}
