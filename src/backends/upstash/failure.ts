import { CoordinationError } from "../../errors.js";
import { parseRetryAfter } from "../../retry-after.js";

/**
 * What Redis answered in place of a result. Its text may quote keys and values, so that it never leaves this folder:
 * callers see `explainRefusal`.
 */
export class Refused extends Error {
  constructor(readonly text: string) {
    super("refused");
  }
}

/** Whether a write may have landed whose answer was lost; `"no"` for what writes nothing. */
export type Applied = "no" | "unknown";

export function unavailable(what: string, applied: Applied): CoordinationError {
  return new CoordinationError("backend_unavailable", `Upstash ${what}`, { retryable: true, applied });
}

export function rejected(what: string, applied: Applied = "no"): CoordinationError {
  return new CoordinationError("backend_rejected", `Upstash ${what}`, { applied });
}

export function unexpectedReply(applied: Applied): CoordinationError {
  return rejected("answered in a shape that nobody expects", applied);
}

/** What an HTTP status alone says; `undefined`: the body says more. */
export function explainStatus({ ok, status, headers }: Response, applied: Applied): CoordinationError | undefined {
  // 400 carries what Redis itself refused.
  if (ok || status === 400) return undefined;
  if (status === 401 || status === 403) return unauthorized();
  if (status === 413) return tooLarge();
  if (status === 429) return rateLimited(parseRetryAfter(headers.get("retry-after"), Date.now()));
  return status >= 500 ? unavailable(`answered ${status}`, applied) : rejected(`answered ${status}`);
}

/** States of a server that pass by themselves; the command was not begun. */
const PASSING = /^(LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN)$/;

export function explainRefusal({ text }: Refused): CoordinationError {
  if (text.includes("refused:newer_schema")) {
    return new CoordinationError("backend_rejected", "the record was written by a later version");
  }
  if (/^ERR max (\w+ )?requests? limit/.test(text)) return rateLimited();
  if (/^ERR max request size/.test(text)) return tooLarge();
  const word = /^[A-Z]{2,20}(?=\s|$)/.exec(text)?.[0] ?? "";
  if (/^(WRONGPASS|NOAUTH)$/.test(word)) return unauthorized();
  if (PASSING.test(word)) return unavailable(`answered ${word}`, "no");
  return rejected(`refused the command${word && ` (${word})`}`);
}

function unauthorized(): CoordinationError {
  return new CoordinationError("unauthorized", "Upstash does not accept the token");
}

function rateLimited(retryAfterMs?: number): CoordinationError {
  return new CoordinationError("rate_limited", "Upstash asks for patience", { retryable: true, retryAfterMs });
}

function tooLarge(): CoordinationError {
  return new CoordinationError("limit_exceeded", "the request is larger than Upstash takes");
}

/** Puts what Redis refused into words of ours. */
export function explained(error: unknown): unknown {
  return error instanceof Refused ? explainRefusal(error) : error;
}
