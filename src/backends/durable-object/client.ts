import { Coordinator } from "../../coordinator.js";
import type { RunOptions } from "../../runtime/backend.js";
import type { IndexCounts, ListedMachine } from "../../runtime/listing.js";
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
  readonly #objects: DurableObjectBackend;

  /** @throws {CoordinationError} `misconfigured` without a namespace, `invalid_input` for an option out of range. */
  constructor(options: DurableObjectOptions) {
    const backend = new DurableObjectBackend(options);
    super(backend, options);
    this.#objects = backend;
  }

  /**
   * Has the object of a group (`completion`) or a request tell the index again, such as a group that an index without room has
   * refused, or that a version without lists stored. Returns false for an unknown one.
   *
   * @throws {CoordinationError} `unsupported` where the objects keep no index.
   */
  reindex(machine: ListedMachine, id: string, options: Pick<RunOptions, "signal"> = {}): Promise<boolean> {
    return this.#objects.reindex(machine, id, options);
  }

  /**
   * Returns how many groups and requests the index lists: open ones, and ended ones that owe a delivery. Counts at most 1,000
   * of each list, so the cost is bounded. One call of the index object.
   *
   * @throws {CoordinationError} `unsupported` where the objects keep no index.
   * @internal
   */
  indexCounts(options: Pick<RunOptions, "signal"> = {}): Promise<IndexCounts> {
    return this.#objects.counts(options);
  }
}
