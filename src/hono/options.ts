import type { Context } from "hono";
import type { Coordinator } from "../coordinator.js";
import type { Clock } from "../lib/clock.js";
import type { Duration } from "../lib/duration.js";
import type { OnEvent } from "../runtime/events.js";
import type { IdempotentRequests } from "./idempotent-requests.js";

/**
 * Options of `requestWait` and `requestStatusRoutes`. Pass the same object to both.
 *
 * @typeParam S the stages' names; inferred from `stages`.
 */
export interface RequestOptions<S extends string = string> {
  /** The coordinator of the requests. A function is called once for each request, as Workers need it. */
  readonly coordinator: Coordinator | ((c: Context) => Coordinator);
  /** The stages that work passes through: 1 to 64, each of 1 to 64 bytes. */
  readonly stages: readonly S[];
  /**
   * The owner of a request: a function that returns the user's or tenant's id, 1 to 2,048 bytes. Return what your
   * authentication has proved, never what the client claims. The scope is part of the record's id: the same key in two
   * scopes names two requests.
   *
   * `"public"` is for clients that are not authenticated. The server then makes every id, a UUID. It ignores
   * `Idempotency-Key` and `X-Request-Id`, so a POST that is sent again is another request. Every client that knows a
   * request's id can read its status, error messages included.
   */
  readonly scope: ((c: Context) => string) | "public";
  /**
   * Returns the key that names the request, or `undefined` for a fresh UUID. Refused with `scope: "public"`.
   *
   * A key is 1 to 255 printable ASCII characters; the answer to any other is 400. A quoted `"abc"` and a bare `abc` are one
   * key. Within its scope a key names one piece of work: the same key again, on any route, asks for the same request.
   *
   * @default `Idempotency-Key`, else `X-Request-Id`, which proxies and service meshes write too
   */
  readonly requestId?: ((c: Context) => string | undefined) | undefined;
  /**
   * Runs the handler of a key once, and gives its response to each duplicate: `idempotentRequests(…)`. Refused with
   * `scope: "public"`.
   *
   * @default none: a request that is sent again runs its handler again
   */
  readonly idempotency?: IdempotentRequests | undefined;
  /** The longest that a response is held back, in milliseconds, from the arrival of the request: 0 to 600,000. Default 20,000. */
  readonly maxWaitMs?: Duration | undefined;
  /** The answer to a client whose wait timed out: 202 with a `Location` (the default), or 504. */
  readonly onTimeout?: "accepted" | "gateway-timeout" | undefined;
  /**
   * Where `requestStatusRoutes` are mounted, for `Location`: the whole path with its `basePath`, or an http(s) address. For
   * a path with parameters, give a function: `` (c) => `/orgs/${encodeURIComponent(c.req.param("id"))}/requests` ``.
   *
   * @default "/requests"
   */
  readonly statusPath?: string | ((c: Context) => string) | undefined;
  /** The field that is added to a JSON response once the request is complete; false for none. Default `"queueStatus"`. */
  readonly queueStatusField?: string | false | undefined;
  /**
   * How long a request is kept after its last write or its end, in seconds: 1 to a year. Default: the coordinator's `ttlSec`,
   * else 3,600.
   */
  readonly ttlSec?: Duration | undefined;
  /**
   * The deadline of a request, in seconds from its registration: up to a year. A request that is pending then ends as
   * `timed_out`. 0: none. @default 0
   */
  readonly timeoutSec?: Duration | undefined;
  /** How long one event stream lasts before the client must reconnect: 1,000 to 3,600,000 ms. Default 60,000. */
  readonly maxStreamMs?: Duration | undefined;
  /**
   * Called with `followup_failed` when a step fails and the client gets no error for it: it gets the handler's answer, or
   * an event stream that says when to connect again. An error of the hook is ignored.
   */
  readonly onEvent?: OnEvent | undefined;
  /** Gives the time and runs timers. Default: the system's clock. */
  readonly clock?: Clock | undefined;
}
