import { Coordinator } from "../../coordinator.js";
import { DurableObjectBackend } from "./backend.js";
import type { DurableObjectOptions } from "./options.js";

/**
 * Coordination in Durable Objects: one object for each group and each raw key's tag, linearizable, with its own timer.
 * An operation is one RPC; those on one object that begin in the same turn share it. Cheap to make, per request or once: it
 * keeps no stub and no timer between calls.
 *
 * Calls that the platform marks as retryable are sent again, at most twice, where that is harmless. Handlers and
 * webhooks run inside the object: give them to the `CoordinatorObject`.
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
