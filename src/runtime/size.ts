import { MAX_ANSWER_BYTES } from "../core/limits.js";
import { CoordinationError } from "../errors.js";

/**
 * The answer of a batch has no room for this operation. `applied` "no": it was not run. "unknown": it may have been
 * run; resending it returns the result.
 */
export class NoRoom extends CoordinationError {
  constructor(applied: "no" | "unknown" = "no") {
    const what = applied === "no" ? "not run" : "not answered";
    const message = `${what}: the answers of its batch take ${MAX_ANSWER_BYTES} bytes already; send it again`;
    super("limit_exceeded", message, { retryable: true, applied });
  }
}

/** The approximate size of a number, a boolean, a name's quotes or a list's brackets. */
const SMALL = 8;

/** Returns the approximate size of a plain value: its texts in UTF-16 units, and a little for everything else. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + SMALL;
  if (typeof value !== "object" || value === null) return SMALL;
  let size = SMALL;
  if (Array.isArray(value)) for (const item of value) size += sizeOf(item);
  else for (const [name, field] of Object.entries(value)) size += name.length + sizeOf(field);
  return size;
}
