import { ROOT_CONTEXT } from "@opentelemetry/api";
import type { TraceLinks } from "../delivery/trace-links.js";
import type { Operation } from "./telemetry.js";
import { linksTo } from "./trace-context.js";

/** One attempt of a delivery. */
export interface DeliveryAttempt {
  readonly destination: string;
  readonly groupId: string;
  readonly deliveryId: string;
  readonly attempt: number;
  readonly trace: TraceLinks;
}

/**
 * Returns the operation of one attempt. Its span is the root of a trace: the drain that makes the attempt has nothing to do
 * with the group. It links to the calls that led to it.
 */
export function deliveryOperation({ destination, groupId, deliveryId, attempt, trace }: DeliveryAttempt): Operation {
  return {
    name: "deliver",
    type: "process",
    destination,
    messages: 1,
    parent: ROOT_CONTEXT,
    links: linksTo({ registered: trace.registered, ended: trace.ended }),
    ids: {
      "messaging.message.id": deliveryId,
      "messaging.message.conversation_id": groupId,
      "edge_coordinator.attempt": attempt,
    },
  };
}
