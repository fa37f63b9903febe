import { CoordinationError } from "../errors.js";

/** A number in the unit that the option's name says, or a text with its unit: `"250ms"`, `"30s"`, `"10m"`, `"2h"`, `"7d"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Returns a duration in seconds. A value that is no text is returned as it is: the caller checks its range.
 *
 * @throws {CoordinationError} `invalid_input` for another text, and for null.
 */
export function inSeconds<Value>(value: Value, field: string): Exclude<Value, string | null> | number {
  return inUnit(value, 1_000, field);
}

/**
 * Returns a duration in milliseconds, as `inSeconds` does.
 *
 * @throws {CoordinationError} `invalid_input` for another text, and for null.
 */
export function inMillis<Value>(value: Value, field: string): Exclude<Value, string | null> | number {
  return inUnit(value, 1, field);
}

function inUnit<Value>(value: Value, unitMs: number, field: string): Exclude<Value, string | null> | number {
  if (typeof value !== "string" && value !== null) return value as Exclude<Value, string | null>;
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(value)) ?? [];
  if (amount === undefined) {
    throw new CoordinationError("invalid_input", `${field} must be a number, or a text such as "30s", "10m" or "7d"`);
  }
  return (Number(amount) * Number(UNIT_MS[unit])) / unitMs;
}
