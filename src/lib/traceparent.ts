import { newOp } from "./ids.js";

/** Version, trace id, span id, flags. Neither the version ff nor an id of zeros is valid. */
const FORM = /^(?!ff|.{3}0{32}|.{36}0{16})[\da-f]{2}(-[\da-f]{32}-[\da-f]{16}-)[\da-f]([\da-f])($|-)/;
/** The length of version 00. Only later versions may hold more. */
const LENGTH = 55;

/**
 * Returns a W3C traceparent in the form of version 00. Returns `undefined` for any other value: an invalid trace context
 * is ignored, and is never an error.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export function validTraceparent(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const [, ids, flags] = FORM.exec(value) ?? [];
  if (ids === undefined || (value.startsWith("00") && value.length > LENGTH)) return undefined;
  return `00${ids}0${Number(`0x${flags}`) & 1}`;
}

/** Returns the traceparent of a new trace, which is sampled if one of the others is. */
export function rootTraceparent(others: readonly (string | undefined)[]): string {
  const isSampled = others.some((other) => other?.endsWith("1"));
  return `00-${newOp()}-${newOp().slice(16)}-0${isSampled ? 1 : 0}`;
}
