import { runs } from "../support/figures.js";
import { objectHarness } from "../support/test-worker.js";
import { runModelTests } from "./run-model-tests.js";

/**
 * One run after another, since the objects have one clock. In the test pool every object that was made makes the next one
 * slower: most runs on this object's class are those of `http.test.ts`, where it stands behind the Worker.
 */
runModelTests("durable-object", () => objectHarness(), { runs: runs("T2_OBJECT", 100), steps: 5, lanes: 1 });
