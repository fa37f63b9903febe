import type { Coordinator } from "../../coordinator.js";
import type { Payloads } from "../../delivery/handler.js";
import { type Duration, inSeconds } from "../../lib/duration.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkNumber, checkTtlSec, MAX_SEC } from "../../lib/validate.js";
import { ttlSecOf } from "../default-ttl.js";
import type { DeliveryOptions } from "../deliver.js";

/** Options of a `CompletionTracker`. */
export interface CompletionTrackerOptions<T extends Payloads = Payloads, Env = unknown>
  extends DeliveryOptions<T, Env> {
  /** The deadline of groups that set none, in seconds, at most a year; 0 for none. Default: the coordinator's, else 1800. */
  readonly timeoutSec?: Duration;
  /**
   * How long an ended group stays readable and refuses late acks, in seconds. An open group without a deadline ends as
   * `timed_out` when no call changes it or waits for it for this time. Default: the coordinator's `ttlSec`, else 3600.
   */
  readonly ttlSec?: Duration;
  /** How long an ack that arrives before its group's registration is kept, in seconds. Default 300. */
  readonly earlyTtlSec?: Duration;
}

const TRACKER_OPTIONS: Names<CompletionTrackerOptions> = {
  handlers: true,
  env: true,
  waitUntil: true,
  webhooks: true,
  retry: true,
  attemptTimeoutSec: true,
  onEvent: true,
  timeoutSec: true,
  ttlSec: true,
  earlyTtlSec: true,
};
const DEFAULT_TIMEOUT_SEC = 1_800;
const DEFAULT_EARLY_TTL_SEC = 300;

/** The times of a tracker's groups. */
export interface GroupSettings {
  readonly timeoutSec: number;
  readonly ttlSec: Duration;
  readonly earlyTtlMs: number;
}

/** @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. */
export function groupSettings<T extends Payloads, Env>(
  coordinator: Coordinator,
  options: CompletionTrackerOptions<T, Env>,
): GroupSettings {
  checkOptions(options, TRACKER_OPTIONS);
  const timeoutSec =
    inSeconds(options.timeoutSec, "timeoutSec") ?? coordinator.completionTimeoutSec ?? DEFAULT_TIMEOUT_SEC;
  const ttlSec = options.ttlSec ?? ttlSecOf(coordinator);
  checkTtlSec(ttlSec, "ttlSec");
  return {
    timeoutSec: checkTimeout(timeoutSec),
    ttlSec,
    earlyTtlMs: checkTtlSec(options.earlyTtlSec ?? DEFAULT_EARLY_TTL_SEC, "earlyTtlSec"),
  };
}

/** @throws {CoordinationError} `invalid_input` for a timeout below 0 or above a year. */
export function checkTimeout(timeoutSec: number): number {
  checkNumber(timeoutSec, "timeoutSec", 0, MAX_SEC);
  return timeoutSec;
}
