import { CoordinationError } from "../src/errors.js";
import type { AppContext } from "./context.js";
import { tenantOf } from "./env.js";
import { checkWebhookUrls } from "./webhooks.js";

/** Where a registration would have its ends told. */
export interface NamedTargets {
  readonly urls: readonly string[];
  readonly handlers: readonly string[];
}

/**
 * Refuses targets that would never be reached, or that the token's tenant may not use, before anything is stored.
 *
 * @throws {CoordinationError} `invalid_input` for a handler or a URL that is not allowed, `unsupported` when webhooks are not
 * set up, `misconfigured` when they are set up wrongly.
 */
export function checkTargets(c: AppContext, { urls, handlers }: NamedTargets): void {
  const { keyPrefix, mayName } = c.var;
  const tenant = tenantOf(keyPrefix);
  // One answer for a handler of others and for one that does not exist.
  if (!handlers.every((handler) => mayName(handler, tenant))) {
    const message = "the handler of a target must be one that `handlers` of createWorker allows this token";
    throw new CoordinationError("invalid_input", message);
  }
  checkWebhookUrls(c.env, keyPrefix, urls);
}
