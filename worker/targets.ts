import { CoordinationError } from "../src/errors.js";
import type { AppContext } from "./context.js";
import { tenantOf } from "./env.js";
import { TARGET_FIELDS } from "./schemas/bodies.js";
import { checkWebhookUrls } from "./webhooks.js";

/** The URLs and the handlers that a registration names. */
export interface NamedTargets {
  readonly urls: readonly string[];
  readonly handlers: readonly string[];
}

/**
 * Refuses targets that can never be reached, or that the token's tenant may not use, before anything is stored.
 *
 * @throws {CoordinationError} `invalid_input` for a handler or a URL that is not allowed, `unsupported` when webhooks are not
 * configured, `misconfigured` when their variables are malformed.
 */
export function checkTargets(c: AppContext, { urls, handlers }: NamedTargets): void {
  const { keyPrefix, mayName } = c.var;
  const tenant = tenantOf(keyPrefix);
  // The same error for another tenant's handler and for an unknown one, so that callers cannot discover names.
  if (!handlers.every((handler) => mayName(handler, tenant))) {
    const message = "the handler of a target must be one that `handlers` of createWorker allows this token";
    throw new CoordinationError("invalid_input", message);
  }
  checkWebhookUrls(c.env, keyPrefix, urls);
}

/** Refuses the targets of a registration's body, as `checkTargets` does. */
export function checkNamedTargets(c: AppContext, body: Readonly<Partial<Record<TargetField, BodyTarget>>>): void {
  const targets = TARGET_FIELDS.map((field) => body[field]);
  checkTargets(c, {
    urls: targets.flatMap((target) => target?.url ?? []),
    handlers: targets.flatMap((target) => target?.handler ?? []),
  });
}

type TargetField = (typeof TARGET_FIELDS)[number];
interface BodyTarget {
  readonly url?: string;
  readonly handler?: string;
}
