import { primitives } from "../../src/testing/cases/primitives.js";
import { memoryHarness } from "../support/memory-harness.js";
import { runConformanceCases } from "./run-cases.js";

runConformanceCases("memory", () => memoryHarness());
// A default TTL concerns raw keys alone.
runConformanceCases("memory, with a TTL for raw keys", () => memoryHarness(3_600), primitives);
