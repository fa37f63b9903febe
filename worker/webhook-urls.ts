import { CoordinationError } from "../src/errors.js";
import { type WorkerEnv, webhooksOf } from "./env.js";

/**
 * Refuses webhooks that would never be sent, before anything is stored.
 *
 * @throws {CoordinationError} `invalid_input` for a URL that is not allowed, `unsupported` when webhooks are not set up,
 * `misconfigured` when they are set up wrongly.
 */
export function checkWebhookUrls(env: WorkerEnv, urls: readonly string[]): void {
  if (urls.length === 0) return;
  const webhooks = webhooksOf(env);
  if (webhooks === undefined) {
    const hint = "set WEBHOOK_SECRET and WEBHOOK_ALLOWED_HOSTS";
    throw new CoordinationError("unsupported", `this Worker sends no webhooks: ${hint}`);
  }
  for (const url of urls) webhooks.check(url);
}
