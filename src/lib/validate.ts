import { CoordinationError } from "../errors.js";
import { inSeconds } from "./duration.js";

/** The largest id or raw key, in bytes of UTF-8. */
export const MAX_ID_BYTES = 256;
/** The longest name of a stage, in bytes of UTF-8. */
export const MAX_STAGE_BYTES = 64;
/** The largest payload of a handler, in bytes of UTF-8. */
export const MAX_VALUE_BYTES = 65_536;
/** The largest item of a list or member of a set, in bytes of UTF-8. A page of a list holds 500 of the largest. */
export const MAX_ITEM_BYTES = 2_048;

const encoder = new TextEncoder();

/** Returns the error of an argument that is wrong. */
export function invalid(message: string): CoordinationError {
  return new CoordinationError("invalid_input", message);
}

function isWellFormed(text: string): boolean {
  // A lone surrogate has no UTF-8 form: two different ids would be stored as one.
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(text);
}

/**
 * Returns the length in bytes of UTF-8. Does not encode a text that is too long anyway; then returns its length in
 * UTF-16 units.
 */
function byteLength(text: string, limit: number): number {
  return text.length > limit ? text.length : encoder.encode(text).length;
}

/** Returns why a text is invalid; `undefined` when it is valid. */
function faultOf(value: unknown, maxBytes: number): string | undefined {
  if (typeof value !== "string") return "must be a string";
  if (byteLength(value, maxBytes) > maxBytes) return `must be at most ${maxBytes} bytes`;
  return isWellFormed(value) ? undefined : "holds half of a surrogate pair";
}

/** Returns whether a value is a text with a UTF-8 form of at most `maxBytes`; it may be empty. Does not throw. */
export function isText(value: unknown, maxBytes: number): value is string {
  return faultOf(value, maxBytes) === undefined;
}

/** Returns whether a value is 1 to 256 bytes of well-formed text. Does not throw. */
export function isId(value: unknown): value is string {
  return value !== "" && isText(value, MAX_ID_BYTES);
}

/** Throws `invalid_input` unless the value is 1 to 256 bytes of well-formed text. */
export function checkId(value: unknown, field: string): asserts value is string {
  if (value === "") throw invalid(`${field} must not be empty`);
  checkText(value, field, MAX_ID_BYTES);
}

/** Throws `invalid_input` unless the value is well-formed text of at most `maxBytes`; it may be empty. */
export function checkText(value: unknown, field: string, maxBytes = MAX_VALUE_BYTES): asserts value is string {
  const fault = faultOf(value, maxBytes);
  if (fault !== undefined) throw invalid(`${field} ${fault}`);
}

/** Throws `invalid_input` unless the value is a whole number from `min` to `max`. */
export function checkInteger(value: unknown, field: string, min: number, max: number): asserts value is number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(`${field} must be a whole number from ${min} to ${max}`);
  }
}

/** Throws `invalid_input` unless the value is a number from `min` to `max`; fractions are allowed. */
export function checkNumber(value: unknown, field: string, min: number, max: number): asserts value is number {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    throw invalid(`${field} must be a number from ${min} to ${max}`);
  }
}

/** The longest TTL and timeout, in seconds: a year. */
export const MAX_SEC = 31_536_000;

/** Returns a duration in whole milliseconds. Throws `invalid_input` unless it is more than 0 and at most a year. */
export function checkTtlSec(value: unknown, field: string): number {
  const seconds = inSeconds(value, field);
  if (typeof seconds !== "number" || !(seconds > 0 && seconds <= MAX_SEC)) {
    throw invalid(`${field} must be more than 0 and at most ${MAX_SEC} seconds`);
  }
  return Math.max(1, Math.round(seconds * 1000));
}

/**
 * Throws `invalid_input` unless the value can be a prefix of keys. In a key a brace ends the prefix, so a prefix must
 * not hold one: two prefixes never share a key.
 */
export function checkKeyPrefix(value: unknown, field: string): asserts value is string {
  checkText(value, field, MAX_ID_BYTES);
  if (/[{}]/.test(value)) throw invalid(`${field} must not hold { or }`);
}

/**
 * Returns a user's value as JSON text.
 *
 * @throws {CoordinationError} `invalid_input` when it has no JSON form or is longer than `maxBytes`.
 */
export function toJson(value: unknown, field: string, maxBytes = MAX_VALUE_BYTES): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // A cycle or a BigInt. The engine's message may quote the value.
  }
  if (text === undefined) throw invalid(`${field} has no JSON form`);
  if (byteLength(text, maxBytes) > maxBytes) throw invalid(`${field} must be at most ${maxBytes} bytes of JSON`);
  return text;
}

/** Returns a text cut to at most `maxBytes` of UTF-8, between two characters. Lone surrogates are replaced. */
export function shortText(text: unknown, field: string, maxBytes: number): string {
  if (typeof text !== "string") throw invalid(`${field} must be a string`);
  // Each UTF-16 unit takes at least one byte, so later units cannot fit.
  const bytes = encoder.encode(text.slice(0, maxBytes));
  if (bytes.length <= maxBytes) return new TextDecoder().decode(bytes);
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(bytes.subarray(0, end));
}
