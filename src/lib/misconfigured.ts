import { CoordinationError } from "../errors.js";

/** Returns the error of a wrong configuration. `message` names fields, never a value. */
export function misconfigured(message: string, cause?: unknown): CoordinationError {
  return new CoordinationError("misconfigured", message, cause === undefined ? {} : { cause });
}
