import type { Claim } from "../core/outbox/attempts.js";
import { isSampled, rootTraceparent } from "../lib/traceparent.js";

/**
 * The trace contexts that led to a delivery, as W3C traceparents. A delivery is a trace of its own, which links to these:
 * many traces can lead to one end, hours before it. A field is absent where its call had no trace context.
 */
export interface TraceLinks {
  /** The trace context of the registration. */
  readonly registered?: string | undefined;
  /** The trace context of the ack that ended the group. Absent when a deadline or another call ended it. */
  readonly ended?: string | undefined;
}

/** Returns the links of a delivery. */
export function linksOf({ registerTrace, endTrace }: Claim): TraceLinks {
  return {
    ...(registerTrace === undefined ? {} : { registered: registerTrace }),
    ...(endTrace === undefined ? {} : { ended: endTrace }),
  };
}

/** Returns the trace context of one attempt: a new trace, recorded if a linked one is. `undefined` without links. */
export function attemptTrace({ registerTrace, endTrace }: Claim): string | undefined {
  if ((registerTrace ?? endTrace) === undefined) return undefined;
  return rootTraceparent(isSampled(registerTrace) || isSampled(endTrace));
}
