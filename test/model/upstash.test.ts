import { upstashHarness } from "../support/upstash-harness.js";
import { runModelTests } from "./run-model-tests.js";

runModelTests("upstash", (label) => upstashHarness(`model-${label}:`), { steps: 8, lanes: 12 });
