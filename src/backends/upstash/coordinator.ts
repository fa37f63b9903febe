import { DrainableCoordinator } from "../../coordinator.js";
import type { DrainOptions, DrainReport } from "../../runtime/backend.js";
import { UpstashBackend } from "./backend.js";
import type { UpstashOptions } from "./options.js";

/**
 * Coordination over Upstash Redis, or any Redis behind its REST protocol. Each operation is one HTTP request that runs one
 * script, atomically, by the server's clock. Operations that begin in the same turn of the event loop share a request.
 *
 * The database decides consistency and durability. Upstash replicates asynchronously: a failover may lose the latest
 * writes. Redis runs no timers: a call that touches a due record wakes it, and `drain` wakes all due records. Call `drain`
 * on a schedule. Without it, deadlines and retries wait for the next call on their record.
 *
 * Cheap to construct: make one per request on platforms that forbid sharing sockets between requests (Workers).
 *
 * @example
 * const coordinator = new UpstashCoordinator({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN });
 */
export class UpstashCoordinator extends DrainableCoordinator {
  /**
   * @throws {CoordinationError} `misconfigured` without an address and a token, or for a client that does not expose them;
   * `invalid_input` for an option out of range.
   */
  constructor(options: UpstashOptions) {
    super(new UpstashBackend(options, () => this.clockSkewMs()), options);
  }

  /**
   * Wakes due records. One request reads the heads of the queue, and one more takes each page of due records. Deliveries run
   * in a pool, so that hanging ones do not block the others. Run it on a schedule, such as once a minute. Any number of
   * drains may run at once: each takes its own records, and claims are fenced. A record that fails is reported to `onEvent`
   * and skipped for 30 seconds. Without any handlers, a drain still ends groups at their deadlines.
   *
   * @throws {CoordinationError} `invalid_input` for a `limit` that is not 1 to 10,000 or a `budgetMs` that is not 1 to
   * 600,000; the errors of `run` when the queue cannot be read.
   */
  override drain(options?: DrainOptions): Promise<DrainReport> {
    return super.drain(options);
  }

  /**
   * Returns the offset that is added to the server's clock, in milliseconds: for tests.
   * @internal
   */
  protected clockSkewMs(): number {
    return 0;
  }
}
