import type { Context } from "hono";
import { CoordinationError } from "../errors.js";
import { Problem, type ProblemCode, problemOf, problemResponse } from "../http/problem.js";
import { RETRY_AFTER_SEC } from "./answer.js";
import { ofContext } from "./coordination-errors.js";

/** A refusal of `idempotency`: the library's problem, with its own title, type and code. */
interface Refusal {
  readonly title: string;
  readonly problem: ProblemCode;
  readonly detail: string;
  readonly isRetryable?: boolean;
}

/** The titles of the first three are those of the draft. */
const REFUSALS = {
  malformed: {
    title: "Idempotency-Key is missing",
    problem: "malformed",
    detail: "send the header Idempotency-Key, with a new UUID for each operation",
  },
  mismatch: {
    title: "Idempotency-Key is already used",
    problem: "invalid_input",
    detail: "another request has used this key: use a new key for another request",
  },
  in_progress: {
    title: "A request is outstanding for this Idempotency-Key",
    problem: "conflict",
    detail: "the first request with this key is still processed: send this one again later",
    isRetryable: true,
  },
  result_not_kept: {
    title: "The result is not kept",
    problem: "conflict",
    detail: "the request with this key was processed, and its response is not available any more",
  },
} as const satisfies Record<string, Refusal>;

const TYPE = "urn:problem-type:edge-coordinator:idempotency-";
const DRAFT = "https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/";

/**
 * Answers with a refusal, and with the headers that middleware has set.
 *
 * @param location where the client can read the state of the work.
 */
export function refuse(c: Context, code: keyof typeof REFUSALS, location?: string): void {
  const { title, problem, detail, isRetryable = false }: Refusal = REFUSALS[code];
  const error =
    problem === "conflict"
      ? new CoordinationError("conflict", detail, { retryable: isRetryable })
      : new Problem(problem, detail);
  const type = TYPE + code.replace("malformed", "key_missing").replaceAll("_", "-");
  const response = new Response(
    JSON.stringify({ ...problemOf(error).body, type, title, code }),
    problemResponse(error),
  );
  response.headers.set("link", `<${DRAFT}>; rel="help"`);
  if (isRetryable) response.headers.set("retry-after", RETRY_AFTER_SEC);
  if (location !== undefined) response.headers.set("location", location);
  ofContext(c, response);
}
