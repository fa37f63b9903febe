import { reset } from "cloudflare:test";
import { afterAll, afterEach, beforeEach } from "vitest";
import { bench, objectHarness } from "../support/test-worker.js";
import { runConformanceCases } from "./run-cases.js";

beforeEach(() => {
  bench.isIndexed = true;
});
afterEach(() => bench.reset());

/** Cases use ids of their own, so objects of their own: storage is emptied once, which takes a third of a second each time. */
afterAll(() => reset());

runConformanceCases("durable-object", () => objectHarness());
