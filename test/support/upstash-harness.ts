import { inject } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import type { Harness } from "../../src/testing/index.js";
import { drivenHarness } from "./driven-harness.js";

/** Ahead of the server's clock by as much as its harness says. */
class AheadCoordinator extends UpstashCoordinator {
  aheadMs = (): number => 0;

  protected override clockSkewMs(): number {
    return this.aheadMs();
  }
}

/** Clients of the run's redis-server, each harness under a prefix and with a clock of its own. */
export function upstashHarness(keyPrefix: string): Harness {
  return drivenHarness((aheadMs) => {
    const one = new AheadCoordinator({ url: inject("restUrl"), token: inject("restToken"), keyPrefix });
    one.aheadMs = aheadMs;
    return one;
  });
}
