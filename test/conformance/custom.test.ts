import { afterAll, expect } from "vitest";
import { gaps, type VersionedStore } from "../backends/custom-store.js";
import { customHarness } from "../support/custom-harness.js";
import { runConformanceCases } from "./run-cases.js";

let seed = 1;
const stores: VersionedStore[] = [];

/** A store that is some turns away, before and after each call, and whose records others write in between. */
runConformanceCases("custom", () => {
  const hop = gaps(seed++);
  let calls = 0;
  const before = async (call: string, name: string, store: VersionedStore): Promise<void> => {
    await hop();
    if (call === "compareAndSet" && ++calls % 3 !== 0) store.touch(name);
  };
  return customHarness({ before, after: hop }, (store) => void stores.push(store));
});

afterAll(() => {
  const conflicts = stores.reduce((sum, store) => sum + store.conflicts, 0);
  expect(conflicts, "the cases met compare-and-sets that lost").toBeGreaterThan(0);
});
