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

let cases = 0;

/** A key prefix each, and so an index each: a page of a shared one would go through the groups of all cases before. */
runConformanceCases("durable-object", () => objectHarness(`case-${++cases}:`));
