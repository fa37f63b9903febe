import type { Clock } from "../../lib/clock.js";
import type { Duration } from "../../lib/duration.js";
import type { OnEvent } from "../../runtime/events.js";

/** Options of a `MemoryCoordinator`. */
export interface MemoryOptions {
  /** How long raw keys are kept after their last write, in seconds, at most a year. 0 (the default): until they are deleted. */
  readonly ttlSec?: Duration;
  /** The deadline of groups that set none, in seconds. */
  readonly completionTimeoutSec?: Duration;
  /** Gives the time and runs timers. Default: the system's clock. */
  readonly clock?: Clock;
  /** Receives events. Errors that it throws are ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
}
