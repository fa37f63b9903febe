import { afterAll, expect } from "vitest";
import { defineBackend } from "../../src/index.js";
import type { Harness } from "../../src/testing/index.js";
import { type Faults, gaps, VersionedStore } from "../backends/custom-store.js";
import { drivenHarness } from "../support/driven-harness.js";
import { runConformanceCases } from "./run-cases.js";

/** The store is some turns of the event loop away, and so are the pauses. */
const CONTENTION = { maxAttempts: 100, baseDelayMs: 1, maxDelayMs: 4 };

let seed = 1;
const stores: VersionedStore[] = [];

/** Each instance is a coordinator of its own over one store, as far apart as processes are. */
function harness(faults: Faults): Harness {
  const store = new VersionedStore(faults);
  stores.push(store);
  return drivenHarness((aheadMs) =>
    defineBackend({ ...store.definition, contention: CONTENTION, now: () => Date.now() + aheadMs() }),
  );
}

runConformanceCases("custom", () => {
  const hop = gaps(seed++);
  return harness({ before: hop, after: hop });
});

runConformanceCases("custom, where others are often first", () => {
  const hop = gaps(seed++);
  let calls = 0;
  return harness({
    before: async (call, name, store) => {
      await hop();
      if (call === "compareAndSet" && ++calls % 3 !== 0) store.touch(name);
    },
  });
});

afterAll(() => {
  const conflicts = stores.reduce((sum, store) => sum + store.conflicts, 0);
  expect(conflicts, "the cases met compare-and-sets that lost").toBeGreaterThan(0);
});
