import type { Coordinator } from "../coordinator.js";

/** How long trackers keep their records where the coordinator's raw keys do not expire. */
const DEFAULT_TTL_SEC = 3_600;

/** Returns the default `ttlSec` of trackers: the coordinator's, else 3,600. */
export function ttlSecOf({ defaultTtlSec }: Coordinator): number {
  return defaultTtlSec || DEFAULT_TTL_SEC;
}
