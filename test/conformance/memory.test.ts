import { MemoryCoordinator } from "../../src/index.js";
import { type Harness, ManualClock } from "../../src/testing/index.js";
import { runConformanceCases } from "./run-cases.js";

function harness(ttlSec: number): Harness {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock, ttlSec });
  return { coordinator: () => coordinator, advance: (ms) => clock.advance(ms) };
}

runConformanceCases("memory", () => harness(0));
runConformanceCases("memory, with a TTL for raw keys", () => harness(3_600));
