import { CoordinationError } from "../../src/errors.js";
import { type ProblemDetails, problemOf } from "../../src/http/problem.js";
import type { QuotaName } from "./table.js";

/** The problem type of a reached quota. @see https://www.iana.org/assignments/http-problem-types */
const TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/** The limit that was reached, for the header field `RateLimit-Policy`. */
export interface Policy {
  readonly quota: QuotaName;
  /** Absent: only the platform knows it. */
  readonly limit?: number;
  readonly windowSec?: number;
}

/** A tenant has reached a quota: 429 with `Retry-After`. Nothing was written. */
export class QuotaExceeded extends CoordinationError {
  readonly policy: Policy;

  constructor(policy: Policy, message: string, retryAfterMs: number) {
    super("rate_limited", `${message} (quota ${policy.quota} of the Worker)`, { retryable: true, retryAfterMs });
    this.policy = policy;
  }
}

/** Returns `problemOf`, and for a reached quota its problem type and its name. */
export function quotaProblemOf(error: unknown): ProblemDetails {
  const details = problemOf(error);
  if (!(error instanceof QuotaExceeded)) return details;
  const { quota } = error.policy;
  return { ...details, body: { ...details.body, type: TYPE, "violated-policies": [quota] } as ProblemDetails["body"] };
}

/**
 * Returns the answer for a reached quota.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
export function quotaResponse(error: QuotaExceeded): Response {
  const { body, retryAfterSec } = quotaProblemOf(error);
  const { quota, limit, windowSec } = error.policy;
  const window = windowSec === undefined ? "" : `;w=${windowSec}`;
  const headers = new Headers({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "retry-after": String(retryAfterSec),
    ratelimit: `"${quota}";r=0;t=${retryAfterSec}`,
  });
  if (limit !== undefined) headers.set("ratelimit-policy", `"${quota}";q=${limit}${window}`);
  return new Response(JSON.stringify(body), { status: body.status, headers });
}
