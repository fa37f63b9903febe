import { objectHarness } from "../support/test-worker.js";
import { runModelTests } from "./run-model-tests.js";

/** One run after another: the objects have one clock. They stay in memory, and many of them make all slower. */
runModelTests("durable-object", () => objectHarness(), { runs: 100, steps: 5, lanes: 1 });
