import { gaps, type VersionedStore } from "../backends/custom-store.js";
import { customHarness } from "../support/custom-harness.js";
import { runModelTests } from "./run-model-tests.js";

let harnesses = 0;

/** Some turns of the event loop away, and now and then another is first. */
runModelTests(
  "custom",
  () => {
    const hop = gaps(++harnesses);
    let calls = 0;
    const before = async (call: string, name: string, store: VersionedStore): Promise<void> => {
      await hop();
      if (call === "compareAndSet" && ++calls % 5 === 0) store.touch(name);
    };
    return customHarness({ before, after: hop });
  },
  { steps: 12, lanes: 24 },
);
