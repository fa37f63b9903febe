import { checkOptions, type Names } from "../lib/known-options.js";
import { validTraceparent } from "../lib/traceparent.js";

/** Options of every call. */
export interface CallOptions {
  /** Ends the call, which rejects with `signal.reason`. A write may still be applied. */
  readonly signal?: AbortSignal | undefined;
}

/** A call for one registration of a group. */
export interface GenerationOptions extends CallOptions {
  /**
   * The registration that the call is for. Without it, the call is for the registration that exists when it arrives: one that
   * a restart overtakes changes the next generation. Resent calls are recognised over a restart, for a minute.
   */
  readonly generation?: number | undefined;
}

/** A call that may bring the caller's trace context. */
export interface TraceOptions extends CallOptions {
  /**
   * The caller's trace context: the value of the header `traceparent` of its request (W3C). Deliveries of the group link to
   * it. An invalid one is ignored. With `traced` of `edge-coordinator/otel` it is set by itself.
   *
   * @default none
   */
  readonly traceparent?: string | undefined;
}

const CALL: Names<CallOptions> = { signal: true };

/** Returns the options for the coordinator, after a check that they hold nothing but `signal`. */
export function callOptions(options: CallOptions): CallOptions {
  checkOptions(options, CALL);
  return { signal: options.signal };
}

/** Returns the trace context of a call, if it brings a valid one. */
export function traceOf({ traceparent: given }: TraceOptions): { traceparent?: string } {
  const traceparent = given === undefined ? undefined : validTraceparent(given);
  return traceparent === undefined ? {} : { traceparent };
}
