import { memoryHarness } from "../support/memory-harness.js";
import { runModelTests } from "./run-model-tests.js";

runModelTests("memory", () => memoryHarness(), { steps: 30, lanes: 32, isExact: true });
