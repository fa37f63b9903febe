import { MAX_EARLY_MARKS, MAX_ROOTS, MAX_STAGES, type RequestRefusal } from "../core/request/record.js";
import type { RequestOutcome, RequestVerdict } from "../core/request/request.js";
import { CoordinationError } from "../errors.js";
import type { RequestState } from "./request-status.js";

/** The result of a call about a request. */
export interface RequestResult {
  /**
   * `accepted`: the call counted, or its first copy did. `duplicate`: it had already counted. `early`: the root is not
   * registered yet; its mark is kept and counts with the registration. `late`: the request is sealed and complete; nothing
   * changed. `sealed`: the request is sealed and pending, and takes no new roots; nothing changed. `unknown`: there is no
   * such request; nothing was written.
   */
  readonly verdict: RequestVerdict;
  readonly state: RequestState;
}

// In a function: bundlers keep texts that are concatenated when a module loads, even if nothing uses them.
const refusals = (): Readonly<Record<RequestRefusal, string>> => ({
  roots: `a request has ${MAX_ROOTS} roots at most`,
  early: `a request keeps ${MAX_EARLY_MARKS} marks of roots that are not registered, with the roots that they hand on to`,
  stages: `a request has ${MAX_STAGES} stages at most`,
  counts: "a count would exceed 10^12",
});

/** Returns the result of a call, or throws `limit_exceeded` and other refusals. */
export function requestResult({ verdict, complete, refused }: RequestOutcome): RequestResult {
  if (refused !== undefined) throw new CoordinationError("limit_exceeded", refusals()[refused]);
  return { verdict, state: complete === undefined ? "unknown" : complete ? "complete" : "pending" };
}
