import type { Context } from "hono";
import type { Clock } from "../clock.js";
import type { Coordinator, OnEvent } from "../coordinator.js";

/**
 * What `requestWait` and `requestStatusRoutes` are made with: one object for both, so that they agree.
 *
 * @typeParam S the stages' names; inferred from `stages`.
 */
export interface RequestOptions<S extends string = string> {
  /** Where the requests are; as a function it is asked once per request, as Workers need it. */
  readonly coordinator: Coordinator | ((c: Context) => Coordinator);
  /** The stages that work passes through: 1 to 64, each of 1 to 64 bytes. */
  readonly stages: readonly S[];
  /**
   * Whose request it is, such as the user's id: 1 to 2,048 bytes. It is part of the record's id: whoever sends the request
   * id of another scope finds nothing. Take it from what was authenticated, never from what the client claims.
   *
   * Without it all callers are one tenant: **whoever knows or guesses a request's id reads its status**, error messages
   * included, and can join it. Do without only where that is fine.
   */
  readonly scope?: ((c: Context) => string) | undefined;
  /**
   * Which id the client gave the request. Default: `X-Request-Id`, else `Idempotency-Key`. Usable are 1 to 128 of the
   * characters `A-Z a-z 0-9 . _ ~ = + -`; for anything else, or nothing, a fresh UUID is taken.
   *
   * An id names one piece of work: to send it again is to ask for the same request. Where proxies or a service mesh hand
   * one `X-Request-Id` on to several calls, take the id from elsewhere, or return `undefined`.
   */
  readonly requestId?: ((c: Context) => string | undefined) | undefined;
  /** The longest that a response is held back, in milliseconds, from the arrival of the request: 0 to 600,000. Default 20,000. */
  readonly maxWaitMs?: number | undefined;
  /** What a client is answered whose wait was too short: 202 with a `Location` (the default), or 504. */
  readonly onTimeout?: "accepted" | "gateway-timeout" | undefined;
  /**
   * Where `requestStatusRoutes` are, for `Location`: the whole path, a `basePath` too, or an http(s) address. Default
   * `"/requests"`.
   */
  readonly statusPath?: string | undefined;
  /** The field that a JSON response gains once the request is complete; false for none. Default `"queueStatus"`. */
  readonly queueStatusField?: string | false | undefined;
  /**
   * How long a request is kept after its last write or its end, in seconds: 1 to a year. Default: the coordinator's, else
   * 3,600.
   */
  readonly ttlSec?: number | undefined;
  /** After how long an event stream ends, for the client to come again: 1,000 to 3,600,000 ms. Default 60,000. */
  readonly maxStreamMs?: number | undefined;
  /**
   * Told as `followup_failed` of what failed once the handler had answered: the client gets the handler's answer all the
   * same. What it throws is ignored.
   */
  readonly onEvent?: OnEvent | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
}
