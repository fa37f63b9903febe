import { Coordinator } from "../../coordinator.js";
import { HttpBackend } from "./backend.js";
import type { HttpOptions } from "./options.js";

/**
 * Coordination over HTTP, by the Worker of `edge-coordinator/worker`: for any runtime with `fetch`.
 *
 * An operation is one request. Operations that begin in the same turn of the event loop share a request. A call is sent three
 * times at most, where that is harmless; the Worker does not repeat it towards its object. Redirects are not followed: they
 * would carry the token along. An answer is read up to 16 MiB. Handlers and webhooks run in the Worker's object.
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
