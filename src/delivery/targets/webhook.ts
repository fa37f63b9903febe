import { isWebhook, WEBHOOK_ROUTE } from "../../core/outbox/routes.js";
import { CoordinationError } from "../../errors.js";
import { rootTraceparent } from "../../lib/traceparent.js";
import { checkText } from "../../lib/validate.js";
import { statusAtEnd } from "../group-status.js";
import type { Webhooks } from "../handler.js";
import { linksOf } from "../trace-links.js";
import type { Attempt, DeliveryHost, TargetKind } from "./target-kind.js";

export const MAX_URL_BYTES = 2_048;

/** A signed HTTP request to a URL. */
export const webhookTarget: TargetKind = {
  named: {
    field: "url",
    form: "{ url }",
    store(target, field, checkUrl) {
      const { url } = target as { url: unknown };
      checkText(url, `${field}.url`, MAX_URL_BYTES);
      if (!URL.canParse(url)) throw new CoordinationError("invalid_input", `${field}.url must be an absolute URL`);
      checkUrl?.(url);
      return { route: WEBHOOK_ROUTE, body: url };
    },
  },
  owns: isWebhook,
  routes: ({ webhooks }) => (webhooks === undefined ? [] : [WEBHOOK_ROUTE]),
  destination: ({ route, body }) => (URL.canParse(body) ? `${route}:${new URL(body).host}` : route),
  send,
  withheld: "the webhook failed",
  // An error that is not retryable is final, such as for a 410 answer. No other refusal is: the receiver may recover.
  next: ({ retryable, retryAfterMs }) => ({
    ...(retryable ? {} : { final: true }),
    ...(retryAfterMs === undefined ? {} : { notBeforeMs: retryAfterMs }),
  }),
};

async function send({ id, claim, signal, traceparent }: Attempt, { webhooks }: DeliveryHost): Promise<undefined> {
  const timestamp = new Date(claim.createdAtMs).toISOString();
  // The header is about this attempt. The links are part of the message, and signed with it.
  const links = linksOf(claim);
  const { registered, ended } = links;
  const trace = (registered ?? ended) && links;
  const body = JSON.stringify({ type: claim.type, timestamp, data: statusAtEnd(id, claim), trace });
  const own = traceparent ?? (trace && rootTraceparent([registered, ended]));
  // If this instance has no sender, the attempt must fail and not count as delivered. The cast hides that the call
  // throws.
  await (webhooks as Webhooks).send({ url: claim.body, id: claim.deliveryId, body, traceparent: own, signal });
  return undefined;
}
