export { timingSafeEqual } from "../lib/timing-safe.js";
export { parseHosts } from "./allowed-host.js";
export { parseSecrets } from "./secret.js";
export {
  type WebhookFetch,
  type WebhookMessage,
  type WebhookSender,
  type WebhookSenderOptions,
  webhookSender,
} from "./sender.js";
export {
  type SignedMessage,
  type SignInput,
  sign,
  type VerifiedWebhook,
  type VerifyInput,
  verify,
  type WebhookHeaders,
} from "./signature.js";
