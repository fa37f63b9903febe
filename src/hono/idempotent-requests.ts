import type { Guard } from "./guard.js";
import { guardSettings, type IdempotentRequestsOptions } from "./idempotency-options.js";
import { guardOf } from "./idempotent-run.js";

/** The value of the option `idempotency` of `requestWait`, made by `idempotentRequests`. */
export interface IdempotentRequests {
  /** @internal */
  readonly guard: Guard;
}

/**
 * Returns the option `idempotency` of `requestWait`: the handler of a key runs once, and a duplicate gets the first response.
 *
 * The handler's own response is kept, before the wait for its work. A duplicate with `Prefer: wait=N` gets it too, and waits
 * for the work as its own headers ask. It registers no request, and its handler does not run.
 *
 * - The key is `Idempotency-Key`, or what `requestId` returns. `X-Request-Id` is no key then, and names no request: proxies
 *   write it.
 * - A request is kept for at least `ttlSec` of this option, so that `Location` is valid as long as the key.
 * - When the key has expired and its request is still kept, a duplicate gets 409 `result_not_kept` with the request's
 *   `Location`. Its handler does not run.
 *
 * `idempotency` has the other rules. An application that does not call this function does not bundle its code.
 *
 * @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range.
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { MemoryCoordinator } from "edge-coordinator";
 * import { idempotentRequests, requestStatusRoutes, requestWait } from "edge-coordinator/hono";
 *
 * const requests = {
 *   coordinator: new MemoryCoordinator(),
 *   stages: ["parse"] as const,
 *   scope: () => "user-1",
 *   idempotency: idempotentRequests({ required: true, onInFlight: "wait" }),
 * };
 * const app = new Hono()
 *   .post("/documents", requestWait(requests), async (c) => {
 *     await c.var.requestWait.add("parse", "document-1");
 *     return c.json({ document: "document-1" }, 202);
 *   })
 *   .route("/requests", requestStatusRoutes(requests));
 * ```
 */
export function idempotentRequests(options: IdempotentRequestsOptions = {}): IdempotentRequests {
  return { guard: guardOf(guardSettings(options)) };
}
