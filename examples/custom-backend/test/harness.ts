import type { Coordinator, DrainableCoordinator } from "edge-coordinator";
import { type Harness, settle } from "edge-coordinator/testing";

/** For so long it waits for what is under way: some cases hold a call up on purpose. */
const PATIENCE_MS = 1_000;

/**
 * Any store as the conformance cases see it: `client` makes one more coordinator over it, whose clock is ahead by what
 * `aheadMs` says, and `stalled` one whose store never answers. Time moves only between calls and deliveries: a lease would be over before it was used.
 */
export function storeHarness(
  client: (aheadMs: () => number) => DrainableCoordinator,
  stalled: () => Coordinator,
): Harness {
  const withHandlers = new Set<DrainableCoordinator>();
  const underWay = new Set<Promise<unknown>>();
  let aheadMs = 0;

  function track<T>(work: Promise<T>): Promise<T> {
    const over = (): void => void underWay.delete(work);
    underWay.add(work);
    work.then(over, over);
    return work;
  }

  function coordinator(): DrainableCoordinator {
    const one = client(() => aheadMs);
    const [run, onWake] = [one.run.bind(one), one.onWake.bind(one)];
    one.run = (transition, id, input, options) => track(run(transition, id, input, options));
    one.onWake = (machine, wake) => {
      withHandlers.add(one);
      const { works, waitUntil } = wake;
      return onWake(machine, {
        input: () => wake.input(),
        act: (id, output, machine) => track(wake.act(id, output, machine)),
        waitUntil,
        ...(works && {
          works: (id, output, machine) =>
            works.call(wake, id, output, machine).map((work) => ({ ...work, run: () => track(work.run()) })),
        }),
      });
    };
    return one;
  }

  async function rest(): Promise<void> {
    const endsAtMs = Date.now() + PATIENCE_MS;
    for (let quiet = 0; quiet < 2 && Date.now() < endsAtMs; quiet = underWay.size === 0 ? quiet + 1 : 0) {
      await settle(2);
    }
  }

  const bystander = coordinator();
  return {
    coordinator,
    stalled,
    lacks: { index: "the example defines no list" },
    async advance(ms) {
      await rest();
      aheadMs += ms;
      // One without handlers would put off the deliveries of those that have them.
      const drainers = withHandlers.size > 0 ? withHandlers : [bystander];
      for (let woken = 1; woken > 0; ) {
        woken = 0;
        for (const one of drainers) woken += (await one.drain()).woken;
      }
      await rest();
    },
  };
}
