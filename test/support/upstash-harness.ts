import { inject } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import type { Harness } from "../../src/testing/index.js";
import { drivenHarness } from "./driven-harness.js";
import { leanFetch } from "./lean-fetch.js";

/** Ahead of the server's clock by as much as its harness says. */
class AheadCoordinator extends UpstashCoordinator {
  aheadMs = (): number => 0;

  protected override clockSkewMs(): number {
    return this.aheadMs();
  }
}

/**
 * Clients of the run's redis-server, each harness under a prefix and with a clock of its own; `deafUrl` leads to a server that
 * never answers.
 */
export function upstashHarness(keyPrefix: string, deafUrl = "http://127.0.0.1:1"): Harness {
  const token = inject("restToken");
  const make = (aheadMs: () => number): UpstashCoordinator => {
    const one = new AheadCoordinator({
      url: inject("restUrl"),
      token,
      keyPrefix,
      // What "auto" comes to on a stock Redis, after two requests more. test/backends/upstash/run.test.ts tests that.
      keyLocking: false,
      fetch: leanFetch,
      onEvent: () => {},
    });
    one.aheadMs = aheadMs;
    return one;
  };
  return drivenHarness(make, () => new UpstashCoordinator({ url: deafUrl, token, keyPrefix }));
}
