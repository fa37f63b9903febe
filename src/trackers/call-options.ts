import { checkOptions, type Names } from "../lib/known-options.js";

/** What every call takes. */
export interface CallOptions {
  /** Ends the call; it rejects with `signal.reason`. A write may still be applied. */
  readonly signal?: AbortSignal | undefined;
}

/** A call for one registration of a group. */
export interface GenerationOptions extends CallOptions {
  /** The registration that the call is for. Without it, the call is for the one that stands when the call arrives. */
  readonly generation?: number | undefined;
}

const CALL: Names<CallOptions> = { signal: true };

/** Returns how to run a call, once its options hold nothing but `signal`. */
export function callOptions(options: CallOptions): CallOptions {
  checkOptions(options, CALL);
  return { signal: options.signal };
}
