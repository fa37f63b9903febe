import { isWebhook, WEBHOOK_ROUTE } from "../../core/outbox/routes.js";
import { CoordinationError } from "../../errors.js";
import { checkText } from "../../lib/validate.js";
import { statusAtEnd } from "../group-status.js";
import type { Webhooks } from "../handler.js";
import type { Attempt, DeliveryHost, TargetKind } from "./target-kind.js";

const MAX_URL_BYTES = 2_048;

/** A signed request to a URL. */
export const webhookTarget: TargetKind = {
  field: "url",
  form: "{ url }",
  store(target, field, checkUrl) {
    const { url } = target as { url: unknown };
    checkText(url, `${field}.url`, MAX_URL_BYTES);
    if (!URL.canParse(url)) throw new CoordinationError("invalid_input", `${field}.url must be an absolute URL`);
    checkUrl?.(url);
    return { route: WEBHOOK_ROUTE, body: url };
  },
  owns: isWebhook,
  routes: ({ webhooks }) => (webhooks === undefined ? [] : [WEBHOOK_ROUTE]),
  destination: ({ route, body }) => (URL.canParse(body) ? `${route}:${new URL(body).host}` : route),
  send,
  withheld: "the webhook failed",
  // The receiver has spoken. What a deployment lacks, a binding or a token, the next one may have.
  next: ({ retryable, retryAfterMs }) => ({
    ...(retryable ? {} : { final: true }),
    ...(retryAfterMs === undefined ? {} : { notBeforeMs: retryAfterMs }),
  }),
  lacks: ({ noWebhooks }) => noWebhooks,
};

async function send({ groupId, claim, signal }: Attempt, { webhooks }: DeliveryHost): Promise<void> {
  const timestamp = new Date(claim.createdAtMs).toISOString();
  const body = JSON.stringify({ type: claim.type, timestamp, data: statusAtEnd(groupId, claim) });
  // A claim that this instance cannot send must fail, and not count as delivered: the cast throws.
  await (webhooks as Webhooks).send({ url: claim.body, id: claim.deliveryId, body, signal });
}
