import { lostAnswer } from "../../access.js";
import { CoordinationError, type CoordinationErrorCode } from "../../errors.js";
import type { OutputOf, TransitionName } from "../../machines/index.js";

/** The part of the Worker's problem details that is read. */
interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly retryable: boolean;
  readonly applied: "no" | "unknown";
}

/** The problems' codes that are, or stand for, one of the library's. */
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
  ["too_large", "limit_exceeded"],
]);

/** For answers that are not the Worker's own. */
const BY_STATUS: Readonly<Record<number, CoordinationErrorCode>> = {
  401: "unauthorized",
  403: "unauthorized",
  404: "misconfigured",
  413: "limit_exceeded",
  429: "rate_limited",
};

/** What an answer is judged by. */
interface Asked {
  readonly applied: "no" | "unknown";
  readonly token: string;
}

/** The `output` of the Worker's answer. Anything else is thrown as what it says or seems to be. */
export function readAnswer(response: Response, text: string, { applied, token }: Asked): unknown {
  const { status } = response;
  // 0: how a browser shows a redirect that it was told not to follow.
  if (status === 0 || (status >= 300 && status < 400)) {
    throw new CoordinationError("misconfigured", "url answered with a redirect, which is not followed");
  }
  const answer = parsed(text);
  if (!response.ok) throw faultOf(response, Object(answer) as Partial<ProblemBody>, { applied, token });
  if (answer === undefined) {
    const message = "the answer was cut short, or is not the Worker's";
    throw new CoordinationError("backend_unavailable", message, { retryable: true, applied });
  }
  const { output } = Object(answer) as { output?: unknown };
  if (output !== null && kindOf(output) !== "object") throw strange(applied);
  return output;
}

function faultOf(response: Response, problem: Partial<ProblemBody>, { applied, token }: Asked): CoordinationError {
  const { status } = response;
  const told = CODES.get(String(problem.code));
  const retryAfter = response.headers.get("retry-after") ?? "";
  const isDown = status >= 500 || status === 408;
  const detail = told === undefined ? "" : String(problem.detail);
  return new CoordinationError(
    told ?? BY_STATUS[status] ?? (isDown ? "backend_unavailable" : "backend_rejected"),
    // Whoever echoes requests in his answers must not have the token logged.
    detail === "" || detail.includes(token) ? `the Worker answered ${status}` : detail.slice(0, 300),
    {
      retryable: problem.retryable === undefined ? isDown || status === 429 : problem.retryable === true,
      applied: problem.applied === "no" || !isDown ? "no" : applied,
      ...(/^\d{1,7}$/.test(retryAfter) ? { retryAfterMs: Number(retryAfter) * 1000 } : {}),
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

function strange(applied: "no" | "unknown"): CoordinationError {
  return new CoordinationError("backend_rejected", "the Worker's answer has an unknown shape", { applied });
}

/** What the trackers read of an output without asking: one field each, by its kind. */
const FIELDS: { readonly [N in TransitionName]?: readonly [field: string, kind: string] } = {
  "kv.setIfAbsent": ["set", "boolean"],
  "kv.expire": ["found", "boolean"],
  "kv.delete": ["found", "boolean"],
  "completion.register": ["outcome", "string"],
  "completion.ack": ["results", "list"],
  "completion.wait": ["view", "object"],
  "completion.results": ["items", "list"],
  "completion.take": ["taken", "boolean"],
};

/** An output of the shape that the transition has. */
export function outputOf<N extends TransitionName>(transition: N, output: unknown): OutputOf<N> {
  const fields = Object(output) as Record<string, unknown>;
  const [field, kind] = FIELDS[transition] ?? [];
  const { view, result, refused, values } = fields;
  const isKey = transition.startsWith("kv.") && field === undefined;
  const fits =
    kindOf(output) === "object" &&
    (field === undefined || kindOf(fields[field]) === kind) &&
    (!isKey || typeof (result ?? refused) === "string" || Array.isArray(values)) &&
    (view === undefined || typeof (Object(view) as { generation?: unknown }).generation === "number");
  if (!fits) throw strange(lostAnswer(transition));
  return output as OutputOf<N>;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "list" : typeof value;
}
