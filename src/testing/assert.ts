import type { CoordinationError, CoordinationErrorCode } from "../errors.js";

/** The error of a conformance case whose expectation failed. */
export class ConformanceFailure extends Error {
  override readonly name = "ConformanceFailure";
  constructor(
    message: string,
    readonly actual?: unknown,
    readonly expected?: unknown,
  ) {
    super(message);
  }
}

/** Compares plain values by their structure; an `undefined` property equals an absent one. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  if (isSame(actual, expected)) return;
  throw new ConformanceFailure(`${what}: expected ${show(expected)}, got ${show(actual)}`, actual, expected);
}

/** Compares only the properties that `expected` names. */
export function matches(actual: unknown, expected: object, what: string): void {
  if (typeof actual !== "object" || actual === null) {
    throw new ConformanceFailure(`${what}: expected ${show(expected)}, got ${show(actual)}`, actual, expected);
  }
  const picked: Record<string, unknown> = {};
  for (const key of Object.keys(expected)) picked[key] = (actual as Record<string, unknown>)[key];
  equal(picked, expected, what);
}

export function isTrue(condition: boolean, what: string): asserts condition {
  if (!condition) throw new ConformanceFailure(what);
}

/** Returns the value. Fails when it is null or undefined. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined)
    throw new ConformanceFailure(`${what}: expected a value, got ${show(value)}`);
  return value;
}

/** Returns the error of the work. Fails unless it is a `CoordinationError` of this code whose message names the field. */
export async function rejects(
  work: () => Promise<unknown>,
  code: CoordinationErrorCode,
  what: string,
  field = "",
): Promise<CoordinationError> {
  let value: unknown;
  try {
    value = await work();
  } catch (error) {
    const { name, code: actual, message } = error as CoordinationError;
    if (name === "CoordinationError" && actual === code && message.includes(field)) return error as CoordinationError;
    throw new ConformanceFailure(`${what}: expected ${code} ${field}, got ${name} ${actual ?? ""}: ${message}`, error);
  }
  throw new ConformanceFailure(`${what}: expected ${code}, resolved with ${show(value)}`, value);
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => isSame(left[key], right[key]));
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}
