import { Coordinator } from "../../coordinator.js";
import { HttpBackend } from "./backend.js";
import type { HttpOptions } from "./options.js";

/**
 * Coordination over HTTP, by the Worker of `edge-coordinator/worker`: for any runtime with `fetch`.
 *
 * An operation is one request. Operations that begin in the same turn of the event loop share a request. A call is sent at
 * most three times, where a retry is safe. The Worker does not retry: each request makes one call of the object. Redirects
 * are not followed, because they would forward the token. The client reads at most 16 MiB of an answer. Handlers and
 * webhooks run in the Worker's object.
 *
 * @example
 * ```ts
 * const coordinator = new HttpCoordinator({ url: "https://coordinator.example.workers.dev", token: env.COORDINATOR_TOKEN });
 * ```
 */
export class HttpCoordinator extends Coordinator {
  /**
   * @throws {CoordinationError} `misconfigured` for a URL or token that cannot be used, `invalid_input` for an option out of
   * range.
   */
  constructor(options: HttpOptions) {
    super(new HttpBackend(options), options);
  }
}
