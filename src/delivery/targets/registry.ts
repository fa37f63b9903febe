import type { Target } from "../../core/outbox/deliveries.js";
import { CoordinationError } from "../../errors.js";
import { cascadeTarget } from "./cascade.js";
import { handlerTarget } from "./handler.js";
import type { TargetKind } from "./target-kind.js";
import { taskTarget } from "./task.js";
import { webhookTarget } from "./webhook.js";

/** All kinds of target that a delivery can go to. */
export const TARGET_KINDS: readonly TargetKind[] = [handlerTarget, webhookTarget, taskTarget, cascadeTarget];

/** The kinds that a backend delivers to by itself, without any handlers. */
export const BACKEND_KINDS: readonly TargetKind[] = [taskTarget, cascadeTarget];

/**
 * Returns a registration's target in the form that is stored.
 *
 * @throws {CoordinationError} `invalid_input` when the target is of no kind or of several, or its kind refuses it.
 */
export function storeTarget(target: object, field: string, checkUrl: ((url: string) => void) | undefined): Target {
  const named = TARGET_KINDS.flatMap((kind) => kind.named ?? []);
  const [kind, ...others] = named.filter((each) => Object.hasOwn(Object(target), each.field));
  if (kind !== undefined && others.length === 0) return kind.store(target, field, checkUrl);
  const forms = named.map(({ form }) => form);
  const last = forms.pop();
  throw new CoordinationError("invalid_input", `${field} must be a function, ${forms.join(", ")} or ${last}`);
}
