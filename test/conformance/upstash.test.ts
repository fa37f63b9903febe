import { upstashHarness } from "../support/upstash-harness.js";
import { runConformanceCases } from "./run-cases.js";

let harnesses = 0;

runConformanceCases("upstash", () => upstashHarness(`conformance-${++harnesses}:`));
