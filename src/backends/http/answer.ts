import type { GroupView } from "../../core/group/record.js";
import type { OutputOf, TransitionName } from "../../core/registry.js";
import type { RequestView } from "../../core/request/record.js";
import type { Counts } from "../../core/stats.js";
import { CoordinationError, type CoordinationErrorCode } from "../../errors.js";
import { faultOfStatus } from "../../http/remote-faults.js";
import { parseRetryAfter } from "../../http/retry-after.js";
import { lostAnswer } from "../../runtime/access.js";
import type { Outcome } from "../../runtime/batcher.js";

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
  ["request_timeout", "backend_unavailable"],
]);

/** What an answer is judged by. */
export interface Asked {
  readonly applied: "no" | "unknown";
  readonly token: string;
  /** When it came, for a dated `Retry-After`. */
  readonly nowMs: number;
}

/** The `output` of the Worker's answer. Anything else is thrown as what it says or seems to be. */
export function readAnswer(response: Response, text: string, asked: Asked): unknown {
  const { output } = bodyOf(response, text, asked) as { output?: unknown };
  if (output !== null && kindOf(output) !== "object") throw unexpectedAnswer(asked.applied);
  return output;
}

/** What became of each operation of a batch. */
export function readOutcomes(
  response: Response,
  text: string,
  { transitions, ...asked }: Asked & { readonly transitions: readonly TransitionName[] },
): Outcome<object>[] {
  const { outcomes } = bodyOf(response, text, asked) as { outcomes?: unknown };
  if (!Array.isArray(outcomes) || outcomes.length !== transitions.length) throw unexpectedAnswer(asked.applied);
  return transitions.map((transition, i) => {
    const { output, problem, retryAfterSec, noRoom } = Object(outcomes[i]) as Readonly<Record<string, unknown>>;
    if (kindOf(problem) !== "object") return outcomeOf(() => outputOf(transition, output));
    const { status } = problem as { readonly status?: unknown };
    const error = faultOf(Number(status), String(retryAfterSec), problem as Partial<ProblemBody>, asked);
    return noRoom === true ? { noRoom: error } : { error };
  });
}

/** What a function returns or throws. */
export function outcomeOf<Value>(read: () => Value): Outcome<Value> {
  try {
    return { value: read() };
  } catch (error) {
    return { error };
  }
}

function bodyOf(response: Response, text: string, asked: Asked): object {
  const answer = parsed(text);
  if (!response.ok) {
    const retryAfter = response.headers.get("retry-after");
    throw faultOf(response.status, retryAfter, Object(answer) as Partial<ProblemBody>, asked);
  }
  if (answer === undefined) {
    const message = "the answer was cut short, or is not the Worker's: check url";
    throw new CoordinationError("backend_unavailable", message, { retryable: true, applied: asked.applied });
  }
  return Object(answer);
}

/** The Worker's own words count more than the status, which a proxy may have set. */
function faultOf(
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
    // An answer that echoes its request must not have the token logged.
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

function unexpectedAnswer(applied: "no" | "unknown"): CoordinationError {
  return new CoordinationError("backend_rejected", "unexpected answer from the Worker: check url", { applied });
}

/** The outbox's own steps, which no client is offered. */
type Internal = "completion.woken" | "completion.settle";

/** A value's kind. Views and counts are objects with fields that the trackers read without asking. */
type Kind<Value> = Value extends string
  ? "string"
  : Value extends number
    ? "number"
    : Value extends boolean
      ? "boolean"
      : Value extends readonly unknown[]
        ? "list"
        : Value extends GroupView
          ? "group"
          : Value extends RequestView
            ? "request"
            : Value extends Counts
              ? "counts"
              : "object";

/** The kinds of an output's fields, `?` after that of one which may be absent. */
type Shape<Output> = {
  readonly [F in keyof Output]-?: undefined extends Output[F] ? `${Kind<NonNullable<Output[F]>>}?` : Kind<Output[F]>;
};

const KEY = { result: "string?", refused: "string?" } as const;
const FOUND = { found: "boolean" } as const;
const GROUP = { view: "group?" } as const;
const MARKED = { verdict: "string", complete: "boolean?", refused: "string?" } as const;
const REQUEST = { view: "request?" } as const;
const LOOK = { ready: "boolean", version: "number", recheckInMs: "number?" } as const;

/** What is answered: a new transition has to be described here before the client compiles. */
const SHAPES: { readonly [N in Exclude<TransitionName, Internal>]: Shape<OutputOf<N>> } = {
  "kv.incr": KEY,
  "kv.getInt": KEY,
  "kv.setIfAbsent": { set: "boolean" },
  "kv.sadd": KEY,
  "kv.srem": KEY,
  "kv.scard": KEY,
  "kv.rpush": KEY,
  "kv.lrange": { values: "list?", next: "number?", life: "string?", refused: "string?" },
  "kv.expire": FOUND,
  "kv.delete": FOUND,
  "completion.register": { ...GROUP, outcome: "string" },
  "completion.ack": { ...GROUP, results: "list" },
  "completion.decrement": { remaining: "number?", refused: "string?" },
  "completion.cancel": GROUP,
  "completion.status": GROUP,
  "completion.wait": { ...LOOK, ...GROUP },
  "completion.results": { ...FOUND, items: "list", next: "number?" },
  "completion.take": { taken: "boolean" },
  "completion.redeliver": GROUP,
  "request.register": MARKED,
  "request.roots": MARKED,
  "request.seal": { ...MARKED, ...REQUEST },
  "request.abandon": MARKED,
  "request.mark": MARKED,
  "request.record": MARKED,
  "request.status": REQUEST,
  "request.wait": { ...LOOK, ...REQUEST },
  "request.progress": { ...LOOK, ...REQUEST },
  "request.cleanup": FOUND,
  "coalesce.next": { version: "number" },
  "coalesce.seen": { stale: "boolean" },
  "dedupe.claim": { claimed: "boolean" },
  "dedupe.release": { released: "boolean" },
  "stats.merge": { merged: "boolean" },
  "stats.consume": { counts: "counts?" },
};

/** What is read of the objects within an output. */
const INNER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  group: { generation: "number", errors: "list", delivery: "object" },
  request: { complete: "boolean", version: "number", open: "number", stages: "list", errors: "list" },
  counts: { processed: "number", requeueCount: "number", errorCount: "number" },
};

/** An output of the shape that the transition has. */
export function outputOf<N extends TransitionName>(transition: N, output: unknown): OutputOf<N> {
  const shape: Readonly<Record<string, string>> = SHAPES[transition as keyof typeof SHAPES] ?? {};
  // A raw key's step answers with one of its fields: which is not said by their kinds.
  const saysNothing = transition.startsWith("kv.") && Object.keys(shape).every((f) => Object(output)[f] === undefined);
  if (!hasShape(output, shape) || saysNothing) throw unexpectedAnswer(lostAnswer(transition));
  return output as OutputOf<N>;
}

function hasShape(value: unknown, shape: Readonly<Record<string, string>>): boolean {
  if (kindOf(value) !== "object") return false;
  return Object.entries(shape).every(([name, kind]) => {
    const field: unknown = (value as Readonly<Record<string, unknown>>)[name];
    if (field === undefined) return kind.endsWith("?");
    const wanted = kind.replace("?", "");
    const inner = INNER[wanted];
    return inner === undefined ? kindOf(field) === wanted : hasShape(field, inner);
  });
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "list" : typeof value;
}
