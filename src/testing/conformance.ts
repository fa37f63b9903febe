import { acking } from "./cases/acking.js";
import { attempts } from "./cases/attempts.js";
import { badInput } from "./cases/bad-input.js";
import { clocks } from "./cases/clocks.js";
import { deadline } from "./cases/deadline.js";
import { delivery } from "./cases/delivery.js";
import { draining } from "./cases/draining.js";
import { ending } from "./cases/ending.js";
import { faults } from "./cases/faults.js";
import { growth } from "./cases/growth.js";
import { handingOn } from "./cases/handing-on.js";
import { hanging } from "./cases/hanging.js";
import { indexed } from "./cases/indexed.js";
import { lifetimes } from "./cases/lifetimes.js";
import { listing } from "./cases/listing.js";
import { nesting } from "./cases/nesting.js";
import { network } from "./cases/network.js";
import { once } from "./cases/once.js";
import { plainFunctions } from "./cases/plain-functions.js";
import { policies } from "./cases/policies.js";
import { primitives } from "./cases/primitives.js";
import { rateLimit } from "./cases/rate-limit.js";
import { reading } from "./cases/reading.js";
import { registering } from "./cases/registering.js";
import { repair } from "./cases/repair.js";
import { requestEnds } from "./cases/request-ends.js";
import { requestWait } from "./cases/request-wait.js";
import { semaphore } from "./cases/semaphore.js";
import { smallTrackers } from "./cases/small-trackers.js";
import { undelivered } from "./cases/undelivered.js";
import { waiting } from "./cases/waiting.js";
import type { ConformanceCase } from "./harness.js";

/**
 * Returns everything that a backend promises, as cases for any test runner. Every tracker works on a backend that passes all
 * of them.
 *
 * A case that needs something that the harness `lacks` gives the reason by `whyNot`. Every other case must pass. Some cases
 * wait for real time where a backend has only that: allow each 30 seconds.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator } from "edge-coordinator";
 * import { conformanceCases, type Harness, ManualClock } from "edge-coordinator/testing";
 * import { it } from "vitest";
 *
 * function harness(): Harness {
 *   const clock = new ManualClock();
 *   const coordinator = new MemoryCoordinator({ clock });
 *   return { coordinator: () => coordinator, advance: (ms) => clock.advance(ms) };
 * }
 *
 * for (const aCase of conformanceCases()) {
 *   it(aCase.name, (ctx) => {
 *     const why = aCase.whyNot(harness());
 *     return why === undefined ? aCase.run(harness()) : ctx.skip(why);
 *   });
 * }
 * ```
 */
export function conformanceCases(): readonly ConformanceCase[] {
  return [
    ...primitives,
    ...waiting,
    ...registering,
    ...acking,
    ...ending,
    ...lifetimes,
    ...clocks,
    ...growth,
    ...policies,
    ...repair,
    ...reading,
    ...indexed,
    ...listing,
    ...network,
    ...plainFunctions,
    ...delivery,
    ...attempts,
    ...draining,
    ...undelivered,
    ...hanging,
    ...deadline,
    ...faults,
    ...badInput,
    ...requestWait,
    ...handingOn,
    ...requestEnds,
    ...nesting,
    ...smallTrackers,
    ...once,
    ...semaphore,
    ...rateLimit,
  ];
}
