import { type Coordinator, coordinatorOver, type DrainableCoordinator } from "../coordinator.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkCoordinator } from "../trackers/check-coordinator.js";
import { Telemetry, type TracingOptions } from "./telemetry.js";
import { TracedBackend } from "./traced-backend.js";

export const TRACING_OPTIONS: Names<TracingOptions> = { tracerProvider: true, meterProvider: true };

/**
 * Returns a coordinator whose groups and requests are traced and measured by OpenTelemetry, after its conventions for
 * messaging. Give it to trackers, and to what drains, in place of the coordinator that it wraps.
 *
 * | span        | kind     | what it is                                                                     |
 * | ----------- | -------- | ------------------------------------------------------------------------------ |
 * | `register …` | producer | a registration; the group stores the context of this span                     |
 * | `ack …`     | producer | an ack, a failure or a decrement; stored if it ends the group                   |
 * | `wait …`    | client   | a wait, until the end or its timeout                                            |
 * | `deliver …` | consumer | an attempt of a delivery: a new trace, with links to the registration and the ack |
 *
 * The spans of calls are children of the active one, or of the call's `traceparent`. Names of metrics:
 * `messaging.client.operation.duration`, `messaging.process.duration`, `messaging.client.sent.messages` and
 * `messaging.client.consumed.messages`.
 *
 * Does not trace plain functions, other trackers, and what the objects of a Worker deliver: see {@link tracedHandlers}.
 *
 * @throws {CoordinationError} `misconfigured` without a coordinator, `invalid_input` for an unknown option.
 *
 * @example
 * ```ts
 * import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
 * import { traced } from "edge-coordinator/otel";
 *
 * const tracker = new CompletionTracker(traced(new MemoryCoordinator()));
 * await tracker.register("document-1", ["chunk-1", "chunk-2"]);
 * ```
 */
export function traced(coordinator: DrainableCoordinator, options?: TracingOptions): DrainableCoordinator;
export function traced(coordinator: Coordinator, options?: TracingOptions): Coordinator;
export function traced(coordinator: Coordinator, options: TracingOptions = {}): Coordinator {
  checkCoordinator(coordinator);
  checkOptions(options, TRACING_OPTIONS);
  return coordinatorOver(new TracedBackend(coordinator, new Telemetry(options)), coordinator);
}
