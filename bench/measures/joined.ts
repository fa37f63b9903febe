import { throughGateways } from "../arms/ours.js";
import type { Measure } from "../bench.js";
import { atMost, figure, type Result } from "../result.js";

const AT_ONCE = 400;

/** HTTP requests of many operations that begin at once. */
export const joined: Measure = {
  name: "joined",
  title: `${AT_ONCE} operations at once, through one coordinator`,
  async run({ lab }) {
    await lab.clear();
    await lab.setRtt(0);
    const results: Result[] = [];
    for (const { arm, trackers } of throughGateways(lab)) {
      const run = crypto.randomUUID();
      const numbers = Array.from({ length: AT_ONCE }, (_, n) => n);
      await trackers.groups.register(`one-${run}`, AT_ONCE);
      const uses: Record<string, (n: number) => Promise<unknown>> = {
        "of one group": (n: number) => trackers.groups.ack(`one-${run}`, String(n)),
        "of many groups": (n: number) => trackers.groups.ack(`${n % 50}-${run}`, String(n)),
        "of all trackers": (n: number) => trackers.task(`all-${n % 50}-${run}`, `request-${n % 50}`, String(n)),
      };
      for (const [use, operation] of Object.entries(uses)) {
        await lab.counts();
        await Promise.all(numbers.map((n) => operation(n)));
        const { requests } = await lab.counts();
        results.push(
          figure(requests, "requests", { what: `HTTP requests, ${use}`, arm, target: atMost(AT_ONCE / 20) }),
        );
      }
    }
    return results;
  },
};
