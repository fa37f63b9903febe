import { CoordinationError } from "../errors.js";

/** Returns the only error of this entry point. `message` names fields, never a value. */
export function misconfigured(message: string, cause?: unknown): CoordinationError {
  return new CoordinationError("misconfigured", message, cause === undefined ? {} : { cause });
}
