import type { Coordinator } from "../coordinator.js";
import { MAX_LIMIT, MAX_REFILL_MS, MAX_WINDOW_MS, type TakeOutput } from "../core/limiter.js";
import { CoordinationError } from "../errors.js";
import { systemClock } from "../lib/clock.js";
import { type Duration, inMillis, inSeconds } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkInteger, checkNumber } from "../lib/validate.js";
import { within } from "../runtime/deadline.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { type Denial, findDenial, keepDenial } from "./denials.js";
import { monotonicMs } from "./held-lease.js";
import { checkNamespace, smallId } from "./small-key.js";

/** Options of a `RateLimiter`. */
export interface RateLimiterOptions {
  /** How many calls of cost 1 a key may make in a window, on average: 1 to 1,000,000. */
  readonly limit: number;
  /** The length of the window, in seconds: 0.001 to 31 days. */
  readonly windowSec: Duration;
  /**
   * How many calls of cost 1 a key may make at once: 1 to 1,000,000. Refilling it, `burst / limit` windows, may take a year
   * at most.
   *
   * @default limit
   */
  readonly burst?: number | undefined;
  /**
   * Decides what `limit` does when the backend fails: it rejects, or returns a result that is allowed or denied. The result
   * then has the `cause`.
   *
   * @default "throw"
   */
  readonly onError?: "throw" | "allow" | "deny" | undefined;
  /** How long `limit` waits for the backend, in milliseconds: 1 to 60,000. @default 1_000 */
  readonly timeoutMs?: Duration | undefined;
  /** Separates keys of different uses. 1 to 64 bytes. Default `"default"`. */
  readonly namespace?: string;
  /**
   * Remembers denials in this process: a denied key makes no further round trip until `retryAfterMs` is over, for a minute
   * at most. Pass one `new Map()`, created at module scope, to all limiters of one backend. Requests of a Worker may share
   * it. It holds up to 10,000 keys, the latest.
   *
   * Default: none. Then each call asks the backend.
   */
  readonly denials?: Map<string, Denial> | undefined;
}

/** The result of `RateLimiter.limit`. */
export interface RateLimit {
  readonly allowed: boolean;
  /** The limiter's `limit`. */
  readonly limit: number;
  /** How many calls of cost 1 would be allowed now. */
  readonly remaining: number;
  /** Until the full burst is available, in milliseconds. */
  readonly resetMs: number;
  /** Until this call's cost would be allowed, in milliseconds; 0 when it was allowed. Until then a denial holds. */
  readonly retryAfterMs: number;
  /** Why the backend did not decide. Only with `onError`. */
  readonly cause?: unknown;
}

const OPTIONS: Names<RateLimiterOptions> = {
  limit: true,
  windowSec: true,
  burst: true,
  onError: true,
  timeoutMs: true,
  namespace: true,
  denials: true,
};
const ON_ERROR: readonly unknown[] = ["throw", "allow", "deny"];
const DEFAULT_TIMEOUT_MS = 1_000;
const MAX_TIMEOUT_MS = 60_000;
/** When to try again after a denial that the backend did not decide. */
const UNDECIDED_RETRY_MS = 1_000;

/**
 * Limits how often callers may do something, for each key: a user, an address, a tenant. By GCRA, a token bucket that
 * holds `burst` and refills `limit` in each window. Concurrent calls are counted exactly.
 *
 * A key has one small record, which ends by itself some time after the full burst is available. A denied call takes nothing
 * and writes nothing.
 *
 * Any span of time D admits at most `burst + D · limit / window` calls. With 100 a minute and a burst of 100 the worst
 * minute admits 199, not 100. Use a smaller `burst` for a smoother rate.
 *
 * Does not promise that an allowed call counts once. A call whose answer is lost may have counted.
 *
 * A key is a text of up to 2,048 bytes, or a list of up to 16 of them.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator, RateLimiter } from "edge-coordinator";
 *
 * const limiter = new RateLimiter(new MemoryCoordinator(), { limit: 100, windowSec: "1m", burst: 20 });
 * const { allowed, retryAfterMs } = await limiter.limit("user-1");
 * if (!allowed) {
 *   // answer 429 with Retry-After: Math.ceil(retryAfterMs / 1000)
 * }
 * ```
 */
export class RateLimiter {
  readonly #coordinator: Coordinator;
  readonly #settings: RateLimiterSettings;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: RateLimiterOptions) {
    checkCoordinator(coordinator);
    this.#coordinator = coordinator;
    this.#settings = rateLimiterSettings(options);
  }

  /**
   * Takes `cost` calls of the key, or nothing when they do not fit. `cost` is a whole number from 0 to the burst; 0 reads
   * without taking. One round trip, tried once; none for a denial that `denials` remembers.
   *
   * @throws {CoordinationError} `invalid_input` for a key or a cost out of range. With `onError: "throw"` also
   * `backend_unavailable`, retryable, after `timeoutMs`, and the backend's errors. Rejects with `signal.reason`.
   */
  async limit(key: string | readonly string[], cost = 1, options: CallOptions = {}): Promise<RateLimit> {
    const { signal } = callOptions(options);
    const { limit, burst, namespace, onError } = this.#settings;
    checkInteger(cost, "cost", 0, burst);
    const id = await smallId(namespace, key);
    try {
      return { limit, ...(await this.#check(id, cost, signal)) };
    } catch (cause) {
      if (onError === "throw" || signal?.aborted === true) throw cause;
      return this.#undecided(cost, cause);
    }
  }

  async #check(id: string, cost: number, signal: AbortSignal | undefined): Promise<TakeOutput> {
    const { limit, windowMs, burst, denials } = this.#settings;
    if (denials === undefined) return this.#take(id, cost, signal);
    signal?.throwIfAborted();
    const known = `${limit} ${windowMs} ${burst} ${id}`;
    const denial = findDenial(denials, known, cost);
    if (denial !== undefined) return { allowed: false, ...denial };
    const sentAtMs = monotonicMs();
    const output = await this.#take(id, cost, signal);
    if (!output.allowed) keepDenial(denials, known, { cost, sentAtMs, denied: output });
    return output;
  }

  #take(id: string, cost: number, signal: AbortSignal | undefined) {
    const { limit, windowMs, burst, timeoutMs } = this.#settings;
    const late = (): CoordinationError =>
      new CoordinationError("backend_unavailable", `the backend did not answer within ${timeoutMs} ms`, {
        retryable: true,
        applied: "unknown",
      });
    return within({ limitMs: timeoutMs, signal, clock: systemClock, background: true }, late, (ended) =>
      this.#coordinator.run("limiter.take", id, { limit, windowMs, burst, cost }, { signal: ended, resend: false }),
    );
  }

  #undecided(cost: number, cause: unknown): RateLimit {
    const { limit, burst, onError } = this.#settings;
    const allowed = onError === "allow";
    if (allowed) return { allowed, limit, remaining: burst - cost, resetMs: 0, retryAfterMs: 0, cause };
    return { allowed, limit, remaining: 0, resetMs: UNDECIDED_RETRY_MS, retryAfterMs: UNDECIDED_RETRY_MS, cause };
  }
}

/** The checked options of a rate limiter, with their defaults. */
export interface RateLimiterSettings {
  readonly limit: number;
  readonly windowMs: number;
  readonly burst: number;
  readonly onError: "throw" | "allow" | "deny";
  readonly timeoutMs: number;
  readonly namespace: string;
  readonly denials: Map<string, Denial> | undefined;
}

/** @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. */
export function rateLimiterSettings(options: RateLimiterOptions): RateLimiterSettings {
  checkOptions(options, OPTIONS);
  const {
    limit,
    burst = limit,
    onError = "throw",
    namespace = "default",
    denials,
  } = Object(options) as RateLimiterOptions;
  const windowSec = inSeconds(options?.windowSec, "windowSec");
  const timeoutMs = inMillis(options?.timeoutMs, "timeoutMs") ?? DEFAULT_TIMEOUT_MS;
  checkInteger(limit, "limit", 1, MAX_LIMIT);
  checkNumber(windowSec, "windowSec", 0.001, MAX_WINDOW_MS / 1000);
  checkInteger(burst, "burst", 1, MAX_LIMIT);
  checkNumber(timeoutMs, "timeoutMs", 1, MAX_TIMEOUT_MS);
  checkNamespace(namespace);
  const windowMs = Math.round(windowSec * 1000);
  if ((burst * windowMs) / limit > MAX_REFILL_MS) {
    throw new CoordinationError("invalid_input", "burst must refill within a year: burst / limit · windowSec");
  }
  if (!ON_ERROR.includes(onError)) {
    throw new CoordinationError("invalid_input", 'onError must be "throw", "allow" or "deny"');
  }
  if (denials !== undefined && !(denials instanceof Map)) {
    throw new CoordinationError("invalid_input", "denials must be a Map");
  }
  return { limit, windowMs, burst, onError, timeoutMs, namespace, denials };
}
