import { afterAll, beforeAll } from "vitest";
import { type FaultProxy, startBlackHole } from "../support/fault-proxy.js";
import { upstashHarness } from "../support/upstash-harness.js";
import { runConformanceCases } from "./run-cases.js";

let hole: FaultProxy;
let harnesses = 0;

beforeAll(async () => {
  hole = await startBlackHole();
});
afterAll(() => hole.close());

runConformanceCases("upstash", () => upstashHarness(`conformance-${++harnesses}:`, hole.url));
