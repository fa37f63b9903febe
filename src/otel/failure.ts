import { type Span, SpanStatusCode } from "@opentelemetry/api";
import type { OutputOf } from "../core/registry.js";
import { CoordinationError } from "../errors.js";
import { refuse, refuseRegistration } from "../trackers/group/refusals.js";

/** Returns the value of `error.type`: the code of a `CoordinationError`, else the name of the error. */
function errorTypeOf(error: unknown): string {
  if (error instanceof CoordinationError) return error.code;
  return error instanceof Error ? error.name : "_OTHER";
}

/** Records a failure on a span. Returns its `error.type`. */
export function recordFailure(span: Span, error: unknown): string {
  const type = errorTypeOf(error);
  const message = error instanceof Error ? error.message : "threw a value that is no Error";
  span.setAttribute("error.type", type);
  span.recordException(error instanceof Error ? error : message);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  return type;
}

/** Returns the error that a tracker throws for this output; `undefined` for a call that was not refused. */
export function refusalOf(
  output: Partial<OutputOf<"completion.register"> & OutputOf<"completion.ack"> & OutputOf<"completion.decrement">>,
): unknown {
  const { outcome = "created", refused } = output as Partial<OutputOf<"completion.register">>;
  try {
    if (output.refused === "named") return new CoordinationError("conflict", "the group lists its tasks");
    refuse(refused);
    if (outcome !== "created" && outcome !== "exists" && outcome !== "refused") refuseRegistration(outcome);
    return undefined;
  } catch (error) {
    return error;
  }
}
