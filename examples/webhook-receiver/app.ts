import type { Coordinator } from "edge-coordinator";
import { coordinationErrors, idempotency } from "edge-coordinator/hono";
import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { isSigned } from "./signature.js";

/** An event, as the sender writes it. */
export interface PaymentEvent {
  readonly id: string;
  readonly type: string;
  readonly order: string;
}

interface Options {
  readonly coordinator: Coordinator;
  /** The secret that the sender signs with. */
  readonly secret: string;
  /** The effect that must happen once for each event. */
  readonly fulfil: (
    event: PaymentEvent,
    run: { readonly fencingToken: number; readonly signal: AbortSignal },
  ) => Promise<void>;
}

const eventOf = (c: Context): Promise<PaymentEvent> => c.req.json();

export function receiver({ coordinator, secret, fulfil }: Options) {
  /** Comes first: an unsigned request takes no key. */
  const signed = createMiddleware(async (c, next) => {
    const isOwn = await isSigned(secret, c.req.header("stripe-signature") ?? "", await c.req.text());
    return isOwn ? next() : c.json({ detail: "the signature does not match" }, 401);
  });

  const once = idempotency({
    coordinator,
    // The signature proves the sender. All of its events have one owner.
    scope: () => "payments",
    key: async (c) => (await eventOf(c)).id,
    required: true,
    // The id alone identifies an event: a redelivery may differ in a counter.
    fingerprint: () => "event",
    // Longer than the sender tries again: three days.
    ttlSec: "7d",
    onEvent: (event) => console.error(event),
  });

  return new Hono()
    .onError(coordinationErrors({ onError: (error) => console.error(error) }))
    .post("/webhooks", signed, once, async (c) => {
      const event = await eventOf(c);
      // An error is answered 500 and frees the key: the sender delivers the event again.
      if (event.type === "payment.succeeded") await fulfil(event, c.var.idempotency);
      return c.json({ received: event.id });
    });
}
