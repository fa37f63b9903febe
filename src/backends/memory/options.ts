import type { Clock } from "../../lib/clock.js";
import type { OnEvent } from "../../runtime/events.js";

/** What a `MemoryCoordinator` is made with. */
export interface MemoryOptions {
  /** How long raw keys outlive their last write, in seconds; 0 (the default): until they are deleted. At most a year. */
  readonly ttlSec?: number;
  /** The deadline of groups that give none, in seconds. */
  readonly completionTimeoutSec?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Receives events; what it throws is ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
}
