import type { Context, MiddlewareHandler } from "hono";
import type { Coordinator } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { problemOf, problemResponse } from "../http/problem.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { emit, type OnEvent } from "../runtime/events.js";
import { checkCoordinator } from "../trackers/check-coordinator.js";
import { type RateLimit, RateLimiter, type RateLimiterOptions, rateLimiterSettings } from "../trackers/rate-limiter.js";
import { ofContext } from "./coordination-errors.js";
import { coordinatorOf } from "./settings.js";

/** Options of `rateLimit`. */
export interface RateLimitOptions
  extends Pick<RateLimiterOptions, "limit" | "windowSec" | "burst" | "timeoutMs" | "denials"> {
  /** The coordinator of the limits. A function is called once for each request, as Workers need it. */
  readonly coordinator: Coordinator | ((c: Context) => Coordinator);
  /**
   * Returns whose requests are counted: a text of 1 to 2,048 bytes. Return what your authentication has proved, or the
   * address that your platform sets. A header that the client chooses is no limit: each request may have another one.
   */
  readonly key: (c: Context) => string;
  /**
   * Decides about a request when the backend fails, or does not answer within `timeoutMs`. `"allow"` runs the handler
   * without a limit. `"deny"` answers 503.
   *
   * @default "allow"
   */
  readonly onError?: "allow" | "deny" | undefined;
  /**
   * The policy's name in the headers, and the namespace of its `RateLimiter`: 1 to 64 printable ASCII characters without
   * spaces, quotes and backslashes. Routes with one name share one limit for each key. Give every other limit a name.
   *
   * @default "default"
   */
  readonly name?: string | undefined;
  /** Receives `followup_failed` for each request that the backend did not decide. */
  readonly onEvent?: OnEvent | undefined;
}

const OPTIONS: Names<RateLimitOptions> = {
  coordinator: true,
  key: true,
  limit: true,
  windowSec: true,
  burst: true,
  onError: true,
  timeoutMs: true,
  denials: true,
  name: true,
  onEvent: true,
};
/** A text that a structured field holds without escapes. */
const NAME = /^[!#-[\]-~]{1,64}$/;
const QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const SWITCHING_PROTOCOLS = 101;

/**
 * Returns middleware that limits how often each key may call, with a `RateLimiter`.
 *
 * A response gets `RateLimit-Policy: "default";q=100;w=60` and `RateLimit: "default";r=99;t=1`: the limit and its window in
 * seconds, how many requests are left, and the seconds until the full burst is available. Several limits make a list.
 * A request over the limit gets 429, `Retry-After`, and problem details of the type `quota-exceeded`. Its handler does not
 * run.
 *
 * When the backend does not decide, the request is allowed (the default) or gets 503, and has no `RateLimit`. See `onError`.
 *
 * Does not promise that an allowed request counts once: see `RateLimiter`.
 *
 * @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. At a request: `invalid_input`
 * for a key that is too long, `misconfigured` for a key that is empty or not a text.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { MemoryCoordinator } from "edge-coordinator";
 * import { rateLimit } from "edge-coordinator/hono";
 *
 * const coordinator = new MemoryCoordinator();
 * const app = new Hono()
 *   .use(rateLimit({ coordinator, limit: 100, windowSec: "1m", burst: 20, key: (c) => c.get("userId") }))
 *   .get("/", (c) => c.text("hello"));
 * ```
 */
export function rateLimit(options: RateLimitOptions): MiddlewareHandler {
  checkOptions(options ?? null, OPTIONS);
  const { coordinator, key, onEvent, name = "default", onError = "allow", ...rates } = options;
  if (typeof coordinator !== "function") checkCoordinator(coordinator);
  check(typeof key === "function", "key must be a function that returns whose requests are counted");
  check(typeof name === "string" && NAME.test(name), "name must be 1 to 64 printable characters, such as per-minute");
  check(onError === "allow" || onError === "deny", 'onError must be "allow" or "deny"');
  const limits: RateLimiterOptions = { ...rates, onError, namespace: name };
  const { limit, windowMs } = rateLimiterSettings(limits);
  const policy = `"${name}";q=${limit}${windowMs % 1000 === 0 ? `;w=${windowMs / 1000}` : ""}`;

  return async function rateLimit(c, next) {
    const id = keyOf(c, key);
    const result = await new RateLimiter(coordinatorOf(coordinator, c), limits).limit(id);
    const { allowed, cause, retryAfterMs } = result;
    if (cause !== undefined) emit(onEvent, { type: "followup_failed", transition: "limiter.take", id, error: cause });
    if (allowed) await next();
    else ofContext(c, cause === undefined ? exceeded(name, retryAfterMs) : undecided(retryAfterMs));
    if (c.res.status === SWITCHING_PROTOCOLS) return;
    c.header("RateLimit-Policy", policy, { append: true });
    if (cause === undefined) c.header("RateLimit", serviceLimit(name, result), { append: true });
  };
}

function check(isValid: boolean, message: string): void {
  if (!isValid) throw new CoordinationError("invalid_input", message);
}

function keyOf(c: Context, key: (c: Context) => unknown): string {
  const id = key(c);
  if (typeof id === "string" && id !== "") return id;
  throw new CoordinationError("misconfigured", "key of rateLimit must return a text that is not empty");
}

function serviceLimit(name: string, { remaining, resetMs }: RateLimit): string {
  return `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`;
}

function exceeded(name: string, retryAfterMs: number): Response {
  const error = new CoordinationError("rate_limited", "too many requests", { retryable: true, retryAfterMs });
  const { body } = problemOf(error);
  const problem = { ...body, type: QUOTA_EXCEEDED, title: "Quota exceeded", "violated-policies": [name] };
  return new Response(JSON.stringify(problem), problemResponse(error));
}

function undecided(retryAfterMs: number): Response {
  const message = "the rate limiter cannot answer now";
  return problemResponse(new CoordinationError("backend_unavailable", message, { retryable: true, retryAfterMs }));
}
