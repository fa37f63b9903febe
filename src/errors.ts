/**
 * Why a call did not return a value. A closed union: branch on it, never on a message.
 *
 * - `invalid_input`: an argument is out of range; the message names the field and the range. Nothing was sent.
 * - `conflict`: the group stands with another specification, or a compare-and-set lost.
 * - `limit_exceeded`: a documented cap was reached; nothing was stored.
 * - `wait_timeout`: a wait came to its end before what it waited for.
 * - `backend_unavailable`: no answer, an answer that was cut short, or a fault of the server's (5xx).
 * - `backend_rejected`: the backend answered, and refused (a wrong type, a script it will not run, a shape nobody expects).
 * - `rate_limited`: the backend asked for patience (429); `retryAfterMs` carries its wish.
 * - `unauthorized`: the token is missing, or not one that the backend knows.
 * - `misconfigured`: a binding, a secret or an option is missing or contradicts another.
 * - `unsupported`: this backend cannot do that; the message says which can.
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

/** What an error says besides its code and its message. */
export interface CoordinationErrorOptions {
  /** Whether the same call may succeed later, unchanged. Default false. */
  readonly retryable?: boolean;
  /** `"no"`: nothing was written. `"unknown"`: the write may have landed before the answer was lost. Default `"no"`. */
  readonly applied?: "no" | "unknown";
  /** What the backend asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The one error class of this library: misuse and faults. An expected outcome (a duplicate, a late ack) is a return value.
 * Its message never holds a key's value, a token or a body.
 */
export class CoordinationError extends Error {
  override readonly name = "CoordinationError";
  /** What went wrong, for programs. */
  readonly code: CoordinationErrorCode;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;
  /** `"no"`: nothing was written. `"unknown"`: the write may have landed. */
  readonly applied: "no" | "unknown";
  /** What the backend asked for, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(code: CoordinationErrorCode, message: string, options: CoordinationErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.applied = options.applied ?? "no";
    this.retryAfterMs = options.retryAfterMs;
  }
}
