import type { Handler } from "../delivery/handler.js";
import { checkOptions } from "../lib/known-options.js";
import { deliveryOperation } from "./delivery-operation.js";
import { Telemetry, type TracingOptions } from "./telemetry.js";
import { TRACING_OPTIONS } from "./traced.js";

/**
 * Returns the handlers, each of whose calls is a span `deliver …` as {@link traced} makes it. For handlers that the object
 * of a Worker runs. A tracker over a traced coordinator traces its handlers by itself: do not wrap them again.
 *
 * @throws {CoordinationError} `invalid_input` for an unknown option.
 *
 * @example
 * ```ts
 * import { CoordinatorObject } from "edge-coordinator/durable-object";
 * import { tracedHandlers } from "edge-coordinator/otel";
 *
 * export class AppCoordinator extends CoordinatorObject {
 *   override readonly handlers = tracedHandlers({
 *     publish: async ({ deliveryId }: { deliveryId: string }) => void (await fetch(`https://index.example/${deliveryId}`)),
 *   });
 * }
 * ```
 */
export function tracedHandlers<const H extends { readonly [name: string]: Handler<never, never> | undefined }>(
  handlers: H,
  options: TracingOptions = {},
): H {
  checkOptions(options, TRACING_OPTIONS);
  const telemetry = new Telemetry(options);
  const entries = Object.entries(handlers).map(([name, handler]) => [
    name,
    handler && wrapped(name, handler, telemetry),
  ]);
  return Object.fromEntries(entries) as H;
}

function wrapped(name: string, handler: Handler<never, never>, telemetry: Telemetry): Handler<never, never> {
  return async (event, ctx) => {
    const { deliveryId, attempt, status, trace } = event;
    const delivery = { destination: `handler:${name}`, groupId: status.groupId, deliveryId, attempt, trace };
    await telemetry.observe(deliveryOperation(delivery), async () => handler(event, ctx));
  };
}
