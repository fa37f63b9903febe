import type { Coordinator } from "../../coordinator.js";
import type { Payloads } from "../../delivery/handler.js";
import { type Duration, inSeconds } from "../../lib/duration.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkNumber, checkTtlSec, MAX_SEC } from "../../lib/validate.js";
import { ttlSecOf } from "../default-ttl.js";
import type { DeliveryOptions } from "../deliver.js";

/** Options of a `RequestWaitTracker`. */
export interface RequestWaitOptions<S extends string = string, T extends Payloads = Payloads, Env = unknown>
  extends DeliveryOptions<T, Env> {
  /**
   * The stages that work passes through: 1 to 64, each of 1 to 64 bytes. `"any"`: calls may name any stage, and a status shows
   * the stages that calls have named.
   */
  readonly stages: readonly S[] | "any";
  /**
   * How long a request is kept after its end, in seconds: 1 to a year. A pending request without a deadline ends as `timed_out`
   * when no call changes it or waits for it for this time. Default: the coordinator's `ttlSec`, else 3,600.
   */
  readonly ttlSec?: Duration;
}

const TRACKER_OPTIONS: Names<RequestWaitOptions> = {
  stages: true,
  ttlSec: true,
  handlers: true,
  env: true,
  waitUntil: true,
  webhooks: true,
  retry: true,
  attemptTimeoutSec: true,
  onEvent: true,
};
const MIN_TTL_SEC = 1;

/** @throws {CoordinationError} `invalid_input` for an option that is unknown, or a `ttlSec` out of range. */
export function requestTtl<S extends string, T extends Payloads, Env>(
  coordinator: Coordinator,
  options: RequestWaitOptions<S, T, Env>,
): Duration {
  checkOptions(options, TRACKER_OPTIONS);
  const ttlSec = options.ttlSec ?? Math.max(MIN_TTL_SEC, ttlSecOf(coordinator));
  checkRequestTtl(ttlSec);
  return ttlSec;
}

/** A shorter TTL would expire between two looks of a waiter, which keeps the request alive. */
export function checkRequestTtl(ttl: Duration): number {
  checkNumber(inSeconds(ttl, "ttlSec"), "ttlSec", MIN_TTL_SEC, MAX_SEC);
  return checkTtlSec(ttl, "ttlSec");
}
