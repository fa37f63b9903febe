import { Coordinator } from "../../coordinator.js";
import { DurableObjectBackend } from "./backend.js";
import type { DurableObjectOptions } from "./options.js";

/**
 * Coordination in Durable Objects: one object for each group and each raw key's tag. Linearizable; each object runs its own
 * timers. An operation is one RPC. Operations on one object that begin in the same turn share it. Cheap to construct, per
 * request or once: it keeps no stub and no timer between calls.
 *
 * Calls that the platform marks as retryable are sent again, at most twice, where a retry is safe. Handlers and webhooks
 * run inside the object: configure them on the `CoordinatorObject`.
 *
 * @example
 * ```ts
 * const coordinator = new DurableObjectCoordinator({ namespace: env.COORDINATOR });
 * ```
 */
export class DurableObjectCoordinator extends Coordinator {
  /** @throws {CoordinationError} `misconfigured` without a namespace, `invalid_input` for an option out of range. */
  constructor(options: DurableObjectOptions) {
    super(new DurableObjectBackend(options), options);
  }
}
