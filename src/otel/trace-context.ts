import { type Context, isSpanContextValid, type Link, type Span, type SpanContext, trace } from "@opentelemetry/api";
import { validTraceparent } from "../lib/traceparent.js";

/** Returns the context of a span as a W3C traceparent; `undefined` for a span of no trace. */
export function traceparentOf(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return isSpanContextValid({ traceId, spanId, traceFlags }) ? `00-${traceId}-${spanId}-0${traceFlags & 1}` : undefined;
}

/** Returns the span context that a W3C traceparent names; `undefined` for an invalid one. */
function spanContextOf(traceparent: string | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = validTraceparent(traceparent)?.split("-") ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number(flags), isRemote: true };
}

/** Returns the context with the span of a traceparent as its active one. An invalid traceparent changes nothing. */
export function continued(context: Context, traceparent: string | undefined): Context {
  const parent = spanContextOf(traceparent);
  return parent === undefined ? context : trace.setSpanContext(context, parent);
}

/** Returns a link to each different trace context, with the part that it had. */
export function linksTo(contexts: Readonly<Record<string, string | undefined>>): Link[] {
  return Object.entries(contexts).flatMap(([part, traceparent]): Link[] => {
    const linked = spanContextOf(traceparent);
    return linked === undefined ? [] : [{ context: linked, attributes: { "edge_coordinator.link": part } }];
  });
}
