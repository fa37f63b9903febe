import { newOp } from "./ids.js";

/** Version, trace id, span id, flags. Only versions after 00 may hold more. @see https://www.w3.org/TR/trace-context/ */
const FORM = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32}-)(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])(-.*)?$/;

/**
 * Returns a W3C traceparent in the form of version 00. Returns `undefined` for any other value: an invalid trace context
 * is ignored, and is never an error.
 */
export function validTraceparent(value: unknown): string | undefined {
  const [, version, traceId, spanId, flags = "0", more] = FORM.exec(String(value)) ?? [];
  if (version === undefined || (version === "00" && more !== undefined)) return undefined;
  return `00-${traceId}${spanId}-0${Number.parseInt(flags, 16) & 1}`;
}

/** Returns the traceparent of a new trace. */
export function rootTraceparent(isSampled: boolean): string {
  return `00-${newOp()}-${newOp().slice(16)}-0${isSampled ? 1 : 0}`;
}

/** Whether the caller records its trace. */
export const isSampled = (traceparent: string | undefined): boolean => traceparent?.endsWith("1") === true;
