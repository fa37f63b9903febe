import type { Target } from "../../core/outbox/deliveries.js";
import { CoordinationError } from "../../errors.js";
import { handlerTarget } from "./handler.js";
import { requestRootTarget } from "./request-root.js";
import type { TargetKind } from "./target-kind.js";
import { webhookTarget } from "./webhook.js";

/** Every kind of target that a delivery can go to. */
export const TARGET_KINDS: readonly TargetKind[] = [handlerTarget, webhookTarget, requestRootTarget];

/** The kinds that a backend delivers to by itself, with nobody's handlers. */
export const BACKEND_KINDS: readonly TargetKind[] = [requestRootTarget];

/**
 * Returns what is stored of a registration's target.
 *
 * @throws {CoordinationError} `invalid_input` when it is of no kind or of several, or its kind refuses it.
 */
export function storeTarget(target: object, field: string, checkUrl: ((url: string) => void) | undefined): Target {
  const [kind, ...others] = TARGET_KINDS.filter((each) => Object.hasOwn(Object(target), each.field));
  if (kind !== undefined && others.length === 0) return kind.store(target, field, checkUrl);
  const forms = TARGET_KINDS.map(({ form }) => form);
  const last = forms.pop();
  throw new CoordinationError("invalid_input", `${field} must be a function, ${forms.join(", ")} or ${last}`);
}
