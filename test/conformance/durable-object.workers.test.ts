import { reset } from "cloudflare:test";
import { afterEach } from "vitest";
import { bench, objectHarness } from "../support/test-worker.js";
import { runConformanceCases } from "./run-cases.js";

afterEach(async () => {
  await reset();
  bench.reset();
});

runConformanceCases("durable-object", () => objectHarness());
