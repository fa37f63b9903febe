import type { Context } from "hono";
import { type Clock, systemClock } from "../clock.js";
import type { Coordinator, OnEvent } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { checkCoordinator } from "../trackers/check-coordinator.js";
import { RequestWaitTracker } from "../trackers/request-wait.js";
import { checkStages } from "../trackers/stages.js";
import { checkId, checkInteger, checkNumber, MAX_SEC } from "../validate.js";
import type { RequestOptions } from "./options.js";
import { clientIdOf } from "./request-id.js";

const MAX_WAIT_MS = 600_000;
const MIN_STREAM_MS = 1_000;
const MAX_STREAM_MS = 3_600_000;

/** The options of requests, checked, with what was left out filled in. */
export interface Settings<S extends string> {
  /** Made per request: Workers forbid that requests share what does I/O. */
  trackerOf(c: Context): RequestWaitTracker<S>;
  readonly scope: ((c: Context) => string) | undefined;
  readonly requestId: (c: Context) => string | undefined;
  readonly maxWaitMs: number;
  readonly isTimeoutAccepted: boolean;
  /** Without a slash at its end. */
  readonly statusPath: string;
  readonly queueStatusField: string | false;
  readonly maxStreamMs: number;
  readonly onEvent: OnEvent | undefined;
  readonly clock: Clock;
}

/**
 * Checks what can be checked before the first request comes.
 *
 * @throws {CoordinationError} `invalid_input`, naming the option; `misconfigured` for what is no coordinator.
 */
export function settingsOf<S extends string>(options: RequestOptions<S>): Settings<S> {
  const { coordinator, ttlSec, onEvent, onTimeout = "accepted", clock = systemClock } = options;
  const { scope, requestId = clientIdOf, maxWaitMs = 20_000, maxStreamMs = 60_000 } = options;
  const { statusPath = "/requests", queueStatusField = "queueStatus" } = options;
  if (typeof coordinator !== "function") checkCoordinator(coordinator);
  const stages = checkStages(options.stages);
  if (ttlSec !== undefined) checkNumber(ttlSec, "ttlSec", 1, MAX_SEC);
  checkInteger(maxWaitMs, "maxWaitMs", 0, MAX_WAIT_MS);
  checkInteger(maxStreamMs, "maxStreamMs", MIN_STREAM_MS, MAX_STREAM_MS);
  if (onTimeout !== "accepted" && onTimeout !== "gateway-timeout") {
    throw new CoordinationError("invalid_input", 'onTimeout must be "accepted" or "gateway-timeout"');
  }
  if (!/^(\/|https?:\/\/)[!-~]*$/.test(statusPath)) {
    throw new CoordinationError("invalid_input", "statusPath must begin with /, https:// or http://");
  }
  if (queueStatusField !== false) checkId(queueStatusField, "queueStatusField");
  const made = { stages, onEvent, ...(ttlSec === undefined ? {} : { ttlSec }) };
  const trackerOf = (c: Context): RequestWaitTracker<S> => new RequestWaitTracker(coordinatorOf(coordinator, c), made);
  return {
    trackerOf,
    scope,
    requestId,
    maxWaitMs,
    isTimeoutAccepted: onTimeout === "accepted",
    statusPath: statusPath.replace(/\/+$/, ""),
    queueStatusField,
    maxStreamMs,
    onEvent,
    clock,
  };
}

/** The coordinator of a request. */
export function coordinatorOf(coordinator: Coordinator | ((c: Context) => Coordinator), c: Context): Coordinator {
  return typeof coordinator === "function" ? coordinator(c) : coordinator;
}
