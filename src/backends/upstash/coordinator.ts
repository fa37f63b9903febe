import { DrainableCoordinator } from "../../coordinator.js";
import type { DrainOptions, DrainReport } from "../../runtime/backend.js";
import { UpstashBackend } from "./backend.js";
import type { UpstashOptions } from "./options.js";

/**
 * Coordination over Upstash Redis, or any Redis behind its REST protocol: each operation is one HTTP request that runs one
 * script, atomically, by the server's clock. Operations that begin in the same turn of the event loop share a request.
 *
 * It promises what the database keeps. Upstash replicates asynchronously: a failover may lose the latest writes.
 * Timers ring when somebody asks: any call that touches a record which is due wakes it, and `drain` wakes all that are. Call
 * `drain` from a schedule, or deadlines and second attempts wait for the next call that happens by.
 *
 * Cheap to make: make one per request on platforms that forbid sharing sockets between requests (Workers).
 *
 * @example
 * const coordinator = new UpstashCoordinator({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN });
 */
export class UpstashCoordinator extends DrainableCoordinator {
  /**
   * @throws {CoordinationError} `misconfigured` without an address and a token, or for a client that hides them;
   * `invalid_input` for an option out of range.
   */
  constructor(options: UpstashOptions) {
    super(new UpstashBackend(options, () => this.clockSkewMs()), options);
  }

  /**
   * Wakes what is due. One request reads the heads of the queue, one more each page of what is due. Deliveries run in a pool, so
   * that those that hang keep no others waiting. Meant for a schedule, once a minute say. Any number of drains may run at
   * once: each takes lines of its own, and a claim is fenced inside its record. A record that fails is reported to
   * `onEvent` and put off by half a minute. Without any handlers a drain still ends groups at their deadlines.
   *
   * @throws {CoordinationError} `invalid_input` for a `limit` that is not 1 to 10,000 or a `budgetMs` that is not 1 to
   * 600,000; whatever `run` throws when the queue cannot be read.
   */
  override drain(options?: DrainOptions): Promise<DrainReport> {
    return super.drain(options);
  }

  /**
   * Milliseconds by which this coordinator's view of the server's clock is moved: for tests.
   * @internal
   */
  protected clockSkewMs(): number {
    return 0;
  }
}
