import { inject } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import type { Harness } from "../../src/testing/index.js";
import { drivenHarness } from "../support/driven-harness.js";
import { runConformanceCases } from "./run-cases.js";

/** Ahead of the server's clock by as much as its harness says. */
class AheadCoordinator extends UpstashCoordinator {
  aheadMs = (): number => 0;

  protected override clockSkewMs(): number {
    return this.aheadMs();
  }
}

let harnesses = 0;

function harness(): Harness {
  const keyPrefix = `conformance-${++harnesses}:`;
  return drivenHarness((aheadMs) => {
    const one = new AheadCoordinator({ url: inject("restUrl"), token: inject("restToken"), keyPrefix });
    one.aheadMs = aheadMs;
    return one;
  });
}

runConformanceCases("upstash", harness);
