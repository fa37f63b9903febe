import type { TransitionName } from "../../core/registry.js";
import { CoordinationError, type CoordinationErrorCode } from "../../errors.js";
import { PROTOCOL } from "../../http/protocol.js";
import { faultOfStatus } from "../../http/remote-faults.js";
import { parseRetryAfter } from "../../http/retry-after.js";
import { lostAnswer } from "../../runtime/access.js";
import type { Outcome } from "../../runtime/batcher.js";

/** The fields of the Worker's problem details that the client reads. */
interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly applied: "no" | "unknown";
}

/** The Worker's problem codes, each with the library's error code for it. */
const CODES: ReadonlyMap<string, CoordinationErrorCode> = new Map([
  ...(
    [
      "invalid_input",
      "conflict",
      "limit_exceeded",
      "wait_timeout",
      "backend_unavailable",
      "backend_rejected",
      "rate_limited",
      "unauthorized",
      "misconfigured",
      "unsupported",
    ] as const
  ).map((code) => [code, code] as const),
  ["not_found", "unsupported"],
  ["suspended", "unauthorized"],
  ["too_large", "limit_exceeded"],
  ["request_timeout", "backend_unavailable"],
]);

/** Facts about the request that the client needs to read its answer. */
export interface Asked {
  readonly applied: "no" | "unknown";
  readonly token: string;
  /** When the answer arrived, for a `Retry-After` that is a date. */
  readonly nowMs: number;
}

/**
 * Returns the `output` of the Worker's answer; `null` for a watch that timed out. Throws the error that the answer reports,
 * or `unexpectedAnswer` for an answer in another form. Does not check the fields of an output: an equal `protocol` means
 * that client and Worker agree on them.
 */
export function readAnswer(response: Response, text: string, asked: Asked): object | null {
  const { output } = bodyOf(response, text, asked);
  if (output === null || isObject(output)) return output;
  throw unexpectedAnswer(asked.applied);
}

/** Returns the outcome of each operation of a batch. */
export function readOutcomes(
  response: Response,
  text: string,
  { transitions, ...asked }: Asked & { readonly transitions: readonly TransitionName[] },
): Outcome<object>[] {
  const { outcomes } = bodyOf(response, text, asked);
  if (!Array.isArray(outcomes) || outcomes.length !== transitions.length) throw unexpectedAnswer(asked.applied);
  return transitions.map((transition, i) => {
    const { output, problem, retryAfterSec, noRoom } = Object(outcomes[i]) as Readonly<Record<string, unknown>>;
    if (isObject(output)) return { value: output };
    if (!isObject(problem)) return { error: unexpectedAnswer(lostAnswer(transition)) };
    const { status } = problem as { readonly status?: unknown };
    const error = faultOf(Number(status), String(retryAfterSec), problem as Partial<ProblemBody>, asked);
    return noRoom === true ? { noRoom: error } : { error };
  });
}

function bodyOf(response: Response, text: string, asked: Asked): Readonly<Record<string, unknown>> {
  const answer = parsed(text);
  if (!response.ok) {
    const retryAfter = response.headers.get("retry-after");
    throw faultOf(response.status, retryAfter, Object(answer) as Partial<ProblemBody>, asked);
  }
  if (answer === undefined) {
    const message = "the answer was cut short, or is not the Worker's: check url";
    throw new CoordinationError("backend_unavailable", message, { retryable: true, applied: asked.applied });
  }
  const body = Object(answer) as Readonly<Record<string, unknown>>;
  if (typeof body.protocol !== "number") throw unexpectedAnswer(asked.applied);
  if (body.protocol !== PROTOCOL) {
    const message = `the Worker speaks protocol ${body.protocol}, this client ${PROTOCOL}: install one version of edge-coordinator on both`;
    throw new CoordinationError("unsupported", message, { applied: asked.applied });
  }
  return body;
}

/** Returns the error of an answer. The Worker's problem code takes precedence over the status, which a proxy may have set. */
export function faultOf(
  status: number,
  retryAfter: string | null,
  problem: Partial<ProblemBody>,
  { applied, token, nowMs }: Asked,
): CoordinationError {
  const told = CODES.get(String(problem.code));
  const fault = faultOfStatus(status);
  const detail = told === undefined ? "" : String(problem.detail);
  const isOwnRefusal = told !== undefined && status < 500;
  return new CoordinationError(
    told ?? fault.code,
    // The detail may echo the request: errors must not log the token.
    detail === "" || detail.includes(token) ? `the Worker ${fault.says}` : detail.slice(0, 300),
    {
      retryable: problem.retryable === undefined ? fault.retryable === true : problem.retryable === true,
      applied: problem.applied === "no" || isOwnRefusal || fault.applied !== "unknown" ? "no" : applied,
      retryAfterMs: parseRetryAfter(retryAfter, nowMs),
    },
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns the error for an answer that did not come from the Worker. */
export function unexpectedAnswer(applied: "no" | "unknown"): CoordinationError {
  return new CoordinationError("backend_rejected", "unexpected answer from the Worker: check url", { applied });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
