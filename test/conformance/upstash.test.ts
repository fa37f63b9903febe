import { inject } from "vitest";
import { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import type { Wake, WakingMachine } from "../../src/index.js";
import type { Harness } from "../../src/testing/index.js";
import { runConformanceCases } from "./run-cases.js";

/** Ahead of the server's clock by as much as its harness says. */
class AheadCoordinator extends UpstashCoordinator {
  aheadMs = (): number => 0;
  hasHandlers = false;

  override onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    this.hasHandlers = true;
    return super.onWake(machine, wake);
  }

  protected override clockSkewMs(): number {
    return this.aheadMs();
  }
}

let harnesses = 0;

function harness(): Harness {
  const made: AheadCoordinator[] = [];
  const keyPrefix = `conformance-${++harnesses}:`;
  let aheadMs = 0;
  const coordinator = (): AheadCoordinator => {
    const one = new AheadCoordinator({ url: inject("restUrl"), token: inject("restToken"), keyPrefix });
    one.aheadMs = () => aheadMs;
    made.push(one);
    return one;
  };
  const advance = async (ms: number): Promise<void> => {
    aheadMs += ms;
    const able = made.filter(({ hasHandlers }) => hasHandlers);
    for (let woken = 1; woken > 0; ) {
      woken = 0;
      for (const one of able.length > 0 ? able : made.slice(0, 1)) woken += (await one.drain()).woken;
    }
  };
  return { coordinator, advance };
}

runConformanceCases("upstash", harness);
