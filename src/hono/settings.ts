import type { Context } from "hono";
import type { Coordinator } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { type Clock, systemClock } from "../lib/clock.js";
import { inMillis, inSeconds } from "../lib/duration.js";
import { checkId, checkInteger, checkNumber, MAX_SEC } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { checkCoordinator } from "../trackers/check-coordinator.js";
import { checkStages } from "../trackers/request/stages.js";
import { RequestWaitTracker } from "../trackers/request-wait.js";
import type { Guard } from "./guard.js";
import type { RequestOptions } from "./options.js";
import { type Identification, idempotencyKey } from "./request-id.js";

/** The bounds of `maxWaitMs` and `maxStreamMs`. */
export const MAX_WAIT_MS = 600_000;
export const MIN_STREAM_MS = 1_000;
export const MAX_STREAM_MS = 3_600_000;

/** The checked options of requests, with defaults. */
export interface Settings<S extends string> extends Identification {
  readonly coordinatorOf: (c: Context) => Coordinator;
  /** Runs the handlers of keys once. */
  readonly guard: Guard | undefined;
  readonly stages: readonly S[];
  /** Makes a tracker for one request: Workers forbid requests to share objects that do I/O. */
  trackerOf(c: Context): RequestWaitTracker<S>;
  /** The deadline of requests; 0 for none. */
  readonly timeoutSec: number;
  readonly maxWaitMs: number;
  readonly isTimeoutAccepted: boolean;
  /**
   * Returns the path of the status routes, without a slash at its end.
   *
   * @throws {CoordinationError} `misconfigured` when the application's function returns no path.
   */
  statusPathOf(c: Context): string;
  readonly queueStatusField: string | false;
  readonly maxStreamMs: number;
  readonly onEvent: OnEvent | undefined;
  readonly clock: Clock;
}

/**
 * Returns the options with their defaults, checked as far as possible before the first request.
 *
 * @throws {CoordinationError} `invalid_input`, naming the option; `misconfigured` for what is no coordinator.
 */
export function settingsOf<S extends string>(options: RequestOptions<S>): Settings<S> {
  const { coordinator, onEvent, onTimeout = "accepted", clock = systemClock } = options;
  const { scope, requestId } = options;
  const ttlSec = inSeconds(options.ttlSec, "ttlSec");
  const timeoutSec = inSeconds(options.timeoutSec, "timeoutSec") ?? 0;
  const maxWaitMs = inMillis(options.maxWaitMs, "maxWaitMs") ?? 20_000;
  const maxStreamMs = inMillis(options.maxStreamMs, "maxStreamMs") ?? 60_000;
  const { statusPath = "/requests", queueStatusField = "queueStatus" } = options;
  if (typeof coordinator !== "function") checkCoordinator(coordinator);
  const stages = checkStages(options.stages);
  checkIdentification({ scope, requestId });
  const guard = guardOf(options);
  if (ttlSec !== undefined) checkNumber(ttlSec, "ttlSec", 1, MAX_SEC);
  checkNumber(timeoutSec, "timeoutSec", 0, MAX_SEC);
  checkInteger(maxWaitMs, "maxWaitMs", 0, MAX_WAIT_MS);
  checkInteger(maxStreamMs, "maxStreamMs", MIN_STREAM_MS, MAX_STREAM_MS);
  if (onTimeout !== "accepted" && onTimeout !== "gateway-timeout") {
    throw new CoordinationError("invalid_input", 'onTimeout must be "accepted" or "gateway-timeout"');
  }
  const fixedPath = typeof statusPath === "function" ? undefined : trimmedPath(statusPath, "invalid_input");
  if (queueStatusField !== false) checkId(queueStatusField, "queueStatusField");
  const coordinatorFor = (c: Context): Coordinator => coordinatorOf(coordinator, c);
  const trackerOf = (c: Context): RequestWaitTracker<S> => {
    const own = coordinatorFor(c);
    return new RequestWaitTracker(own, { stages, onEvent, ...keptFor(ttlSec, guard, own) });
  };
  return {
    stages,
    coordinatorOf: coordinatorFor,
    trackerOf,
    scope,
    // With a guard, `X-Request-Id` is no key: proxies write it.
    requestId: requestId ?? (guard === undefined ? undefined : idempotencyKey),
    guard,
    timeoutSec,
    maxWaitMs,
    isTimeoutAccepted: onTimeout === "accepted",
    statusPathOf: (c) => fixedPath ?? trimmedPath((statusPath as (c: Context) => string)(c), "misconfigured"),
    queueStatusField,
    maxStreamMs,
    onEvent,
    clock,
  };
}

function checkIdentification({ scope, requestId }: Identification): void {
  if (scope !== "public" && typeof scope !== "function") {
    const message = 'scope must be a function that returns whose request it is, or "public"';
    throw new CoordinationError("invalid_input", message);
  }
  if (scope === "public" && requestId !== undefined) {
    const message = 'requestId must be left out with scope "public", where the server makes the ids';
    throw new CoordinationError("invalid_input", message);
  }
}

function guardOf({ scope, idempotency }: RequestOptions): Guard | undefined {
  if (idempotency === undefined) return undefined;
  const guard: unknown = (idempotency as { readonly guard?: unknown } | null)?.guard;
  if (guard === undefined) {
    throw new CoordinationError("invalid_input", "idempotency must be what idempotentRequests() returns");
  }
  if (scope === "public") {
    const message = 'idempotency must be left out with scope "public", where the server makes the ids';
    throw new CoordinationError("invalid_input", message);
  }
  return guard as Guard;
}

/** A request is kept for at least as long as the key that names it. */
function keptFor(
  ttlSec: number | undefined,
  guard: Guard | undefined,
  { defaultTtlSec }: Coordinator,
): { readonly ttlSec?: number } {
  if (guard !== undefined) return { ttlSec: Math.max(ttlSec ?? defaultTtlSec, guard.ttlMs / 1000) };
  return ttlSec === undefined ? {} : { ttlSec };
}

function trimmedPath(path: unknown, code: "invalid_input" | "misconfigured"): string {
  if (typeof path === "string" && /^(\/(?!\/)|https?:\/\/)[!-~]*$/.test(path)) return path.replace(/\/+$/, "");
  throw new CoordinationError(code, "statusPath must begin with /, https:// or http://");
}

/** Returns the coordinator of a request. */
export function coordinatorOf<C extends object>(coordinator: C | ((c: Context) => C), c: Context): C {
  return typeof coordinator === "function" ? coordinator(c) : coordinator;
}
