import { handlerOf, handlerRoute } from "../../core/outbox/routes.js";
import { checkId, toJson } from "../../lib/validate.js";
import { emit } from "../../runtime/events.js";
import { statusAtEnd } from "../group-status.js";
import type { GroupEventType, Handler, HandlerContext, HandlerEvent } from "../handler.js";
import { linksOf } from "../trace-links.js";
import type { Attempt, DeliveryHost, TargetKind } from "./target-kind.js";

/** A function that the delivering instance registered under a name. */
export const handlerTarget: TargetKind = {
  named: {
    field: "handler",
    form: "{ handler, payload }",
    store(target, field) {
      const { handler, payload = null } = target as { handler: unknown; payload?: unknown };
      checkId(handler, `${field}.handler`);
      return { route: handlerRoute(handler), body: toJson(payload, `${field}.payload`) };
    },
  },
  owns: (route) => handlerOf(route) !== undefined,
  routes: ({ handlers }) => [...(handlers?.keys() ?? [])].map(handlerRoute),
  destination: ({ route }) => route,
  send,
  withheld: "the handler failed",
  // An error code from a handler's own calls says nothing about the next attempt.
  next: () => ({}),
};

async function send({ machine, id, claim, signal }: Attempt, host: DeliveryHost): Promise<undefined> {
  // If this instance lacks the handler, the attempt must fail and not count as delivered. Calling `undefined` throws.
  const handler = host.handlers?.get(handlerOf(claim.route) ?? "") as Handler;
  const status = statusAtEnd(id, claim);
  const event: HandlerEvent = {
    type: claim.type as GroupEventType,
    tenant: host.tenant,
    deliveryId: claim.deliveryId,
    attempt: claim.attempt,
    reason: status.reason,
    payload: JSON.parse(claim.body),
    status,
    trace: linksOf(claim),
  };
  await handler(event, contextOf({ machine, id, signal }, host));
  return undefined;
}

function contextOf(
  { machine, id, signal }: Pick<Attempt, "machine" | "id" | "signal">,
  host: DeliveryHost,
): HandlerContext {
  const { env, coordinator, waitUntil, onEvent } = host;
  const report = (error: unknown): void => emit(onEvent, { type: "wake_failed", machine, id, error });
  return {
    env,
    signal,
    // Created when a handler reads it: an object without a binding to itself can still deliver.
    get coordinator() {
      return (coordinator as NonNullable<typeof coordinator>)();
    },
    waitUntil: waitUntil ?? ((work) => void work.catch(report)),
  };
}
