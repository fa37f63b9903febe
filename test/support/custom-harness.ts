import { defineBackend } from "../../src/index.js";
import type { Harness } from "../../src/testing/index.js";
import { type Faults, VersionedStore } from "../backends/custom-store.js";
import { drivenHarness } from "./driven-harness.js";

/** Some cases write more than the default. */
const MAX_RECORD_BYTES = 8_388_608;
/** The store is some turns of the event loop away, and so are the pauses. */
const CONTENTION = { maxAttempts: 100, baseDelayMs: 1, maxDelayMs: 4 };

/** Each instance is a coordinator of its own over one store, as far apart as processes are. */
export function customHarness(faults: Faults, onStore: (store: VersionedStore) => void = () => {}): Harness {
  const store = new VersionedStore(faults);
  onStore(store);
  const { definition: silent } = new VersionedStore({ before: () => new Promise(() => {}) });
  return drivenHarness(
    (aheadMs) =>
      defineBackend({
        ...store.definition,
        contention: CONTENTION,
        maxRecordBytes: MAX_RECORD_BYTES,
        now: () => Date.now() + aheadMs(),
        onEvent: () => {},
      }),
    () => defineBackend(silent),
  );
}
