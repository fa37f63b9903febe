import type { Coordinator, DrainableCoordinator, Wake, WakingMachine } from "../../src/index.js";
import { type Harness, settle } from "../../src/testing/index.js";

/** How long a harness waits for calls that are under way: longer than a busy machine takes, shorter than a test may. */
const PATIENCE_MS = 60_000;

/**
 * A harness over coordinators that a test has to drain, and that share a store: `make` gives one that is ahead of the
 * real time by what `aheadMs` says, `stalled` one whose store never answers. Time moves only between calls and deliveries,
 * never under them: a lease would be over before it was used.
 */
export function drivenHarness(
  make: (aheadMs: () => number) => DrainableCoordinator,
  stalled: () => Coordinator,
): Harness {
  const able = new Set<DrainableCoordinator>();
  const underWay = new Set<Promise<unknown>>();
  let aheadMs = 0;

  const track = <T>(work: Promise<T>): Promise<T> => {
    const over = (): void => void underWay.delete(work);
    underWay.add(work);
    work.then(over, over);
    return work;
  };
  const coordinator = (): DrainableCoordinator => {
    const one = make(() => aheadMs);
    const [run, onWake] = [one.run.bind(one), one.onWake.bind(one)];
    one.run = (transition, id, input, options) => track(run(transition, id, input, options));
    one.onWake = <M extends WakingMachine>(machine: M, wake: Wake<M>) => {
      able.add(one);
      const { waitUntil } = wake;
      const act: Wake<M>["act"] = (id, output, on) => track(wake.act(id, output, on));
      const works: Wake<M>["works"] = (id, output, on) =>
        (wake.works?.(id, output, on) ?? []).map((work) => ({ ...work, run: () => track(work.run()) }));
      return onWake(machine, { input: () => wake.input(), act, waitUntil, ...(wake.works && { works }) });
    };
    return one;
  };
  const idle = coordinator();
  const rest = async (): Promise<void> => {
    const stopAtMs = Date.now() + PATIENCE_MS;
    for (let quiet = 0; quiet < 2 && Date.now() < stopAtMs; quiet = underWay.size === 0 ? quiet + 1 : 0) {
      await settle(2);
    }
  };
  const advance = async (ms: number): Promise<void> => {
    await rest();
    aheadMs += ms;
    for (let woken = 1; woken > 0; ) {
      woken = 0;
      for (const one of able.size > 0 ? able : [idle]) woken += (await one.drain()).woken;
    }
    await rest();
  };
  return { coordinator, advance, stalled };
}
