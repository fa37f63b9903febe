import { memoryHarness } from "../support/memory-harness.js";
import { runConformanceCases } from "./run-cases.js";

runConformanceCases("memory", () => memoryHarness());
runConformanceCases("memory, with a TTL for raw keys", () => memoryHarness(3_600));
