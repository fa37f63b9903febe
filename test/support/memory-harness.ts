import { MemoryCoordinator } from "../../src/index.js";
import { type Harness, ManualClock } from "../../src/testing/index.js";

/** One coordinator for all, with a clock that stands still between the steps. */
export function memoryHarness(ttlSec = 0): Harness {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock, ttlSec, onEvent: () => {} });
  return {
    coordinator: () => coordinator,
    advance: (ms) => clock.advance(ms),
    lacks: { stalled: "the records are in this very process" },
  };
}
