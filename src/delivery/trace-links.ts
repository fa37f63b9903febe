import type { Claim } from "../core/outbox/attempts.js";

/**
 * The trace contexts that led to a delivery, as W3C traceparents. A delivery is a trace of its own, which links to these:
 * many traces can lead to one end, hours before it.
 */
export interface TraceLinks {
  /** The trace context of the registration; `undefined` without one. */
  readonly registered: string | undefined;
  /** The trace context of the ack that ended the group; `undefined` without one, and after a deadline or another end. */
  readonly ended: string | undefined;
}

/** Returns the links of a delivery. */
export const linksOf = ({ registerTrace, endTrace }: Claim): TraceLinks => ({
  registered: registerTrace,
  ended: endTrace,
});
