import { throughGateways } from "../arms/ours.js";
import type { Measure } from "../bench.js";
import { OPERATIONS } from "../operations.js";
import { atMost, figure, type Result } from "../result.js";

/** HTTP requests of each public operation, counted where they arrive: the most that one takes. */
export const requestsPerOperation: Measure = {
  name: "requests-per-operation",
  title: "HTTP requests of a public operation",
  async run({ lab }) {
    await lab.setRtt(0);
    const results: Result[] = [];
    for (const { arm, trackers } of throughGateways(lab)) {
      let most = 0;
      for (const { name, prepare, run } of OPERATIONS) {
        await prepare?.(trackers, name);
        await lab.counts();
        await run(trackers, name);
        most = Math.max(most, (await lab.counts()).requests);
      }
      const note = `the most of ${OPERATIONS.length} operations`;
      results.push(figure(most, "requests", { what: "HTTP requests an operation", arm, target: atMost(1), note }));
    }
    return results;
  },
};
