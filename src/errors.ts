/**
 * Why a call did not return a value. A closed union: branch on it, never on a message.
 *
 * - `invalid_input`: an argument is out of range. The message names the field and the range. Nothing was sent.
 * - `conflict`: the group exists with another specification, or a compare-and-set lost.
 * - `limit_exceeded`: a documented limit was reached. Nothing was stored.
 * - `wait_timeout`: a wait ended before what it waited for.
 * - `backend_unavailable`: no answer, an answer that was cut short, or a server that cannot answer now.
 * - `backend_rejected`: the backend refused the call, and would refuse it again. The message says what to do.
 * - `rate_limited`: the backend asks for fewer requests. `retryAfterMs` says for how long, where the backend does.
 * - `unauthorized`: the token is missing, unknown, or may not do this.
 * - `misconfigured`: a binding, a secret or an option is missing or contradicts another.
 * - `unsupported`: this backend cannot do that. The message says which can.
 */
export type CoordinationErrorCode =
  | "invalid_input"
  | "conflict"
  | "limit_exceeded"
  | "wait_timeout"
  | "backend_unavailable"
  | "backend_rejected"
  | "rate_limited"
  | "unauthorized"
  | "misconfigured"
  | "unsupported";

/** The optional fields of an error. */
export interface CoordinationErrorOptions {
  /**
   * Whether the same call may succeed later without changes.
   *
   * @default false
   */
  readonly retryable?: boolean;
  /**
   * `"no"`: nothing was written. `"unknown"`: the write may have been applied before its answer was lost.
   *
   * @default "no"
   */
  readonly applied?: "no" | "unknown";
  /** How long the backend asks the caller to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A `CoordinationError` as JSON. */
export interface CoordinationErrorJson {
  readonly name: "CoordinationError";
  readonly code: CoordinationErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly applied: "no" | "unknown";
  readonly retryAfterMs?: number;
}

/**
 * The one error class of this library, for misuse and faults. Expected outcomes (a duplicate, a late ack) are return
 * values. Its message never holds a key's value, a token or a body.
 */
export class CoordinationError extends Error {
  override readonly name = "CoordinationError";
  /** The kind of error, for programs. */
  readonly code: CoordinationErrorCode;
  /** Whether the same call may succeed later without changes. */
  readonly retryable: boolean;
  /** `"no"`: nothing was written. `"unknown"`: the write may have been applied. */
  readonly applied: "no" | "unknown";
  /** How long the backend asks the caller to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(code: CoordinationErrorCode, message: string, options: CoordinationErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.applied = options.applied ?? "no";
    this.retryAfterMs = options.retryAfterMs;
  }

  /** Returns the fields that `JSON.stringify` writes. Does not contain the cause or the stack, which may hold secrets. */
  toJSON(): CoordinationErrorJson {
    const { name, code, message, retryable, applied, retryAfterMs } = this;
    return { name, code, message, retryable, applied, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
}

/** Returns a copy of an error for one of several callers, with `applied` for that caller's write. */
export function withApplied(error: CoordinationError, applied: "no" | "unknown"): CoordinationError {
  const { code, message, retryable, retryAfterMs } = error;
  const cause = "cause" in error ? { cause: error.cause } : {};
  return new CoordinationError(code, message, { retryable, retryAfterMs, applied, ...cause });
}
