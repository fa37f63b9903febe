import type { Claim, Claimed } from "../core/outbox/attempts.js";
import type { OutputOf } from "../core/registry.js";
import { linksOf } from "../delivery/trace-links.js";
import type { Wake, WakingMachine, Work } from "../runtime/backend.js";
import { deliveryOperation } from "./delivery-operation.js";
import type { Telemetry } from "./telemetry.js";

/** Returns a waker whose deliveries are spans. */
export function tracedWake<M extends WakingMachine>(wake: Wake<M>, telemetry: Telemetry): Wake<M> {
  if (wake.works === undefined) return wake;
  type Output = OutputOf<`${M}.woken`>;
  const partsOf = (id: string, output: Output, machine: M): readonly Work[] => wake.works?.(id, output, machine) ?? [];
  const works = (id: string, output: Output, machine: M): readonly Work[] => {
    const { claims } = output as Partial<Claimed>;
    if (claims === undefined) return partsOf(id, output, machine);
    // One claim a call: so each piece of work is known by its claim.
    const traced = claims.flatMap((claim) =>
      partsOf(id, { claims: [claim] } as unknown as Output, machine).map((work) =>
        tracedWork(work, id, claim, telemetry),
      ),
    );
    return [...partsOf(id, { ...(output as object), claims: [] } as unknown as Output, machine), ...traced];
  };
  return {
    input: () => wake.input(),
    act: async (id, output, machine) => {
      await Promise.all(works(id, output, machine).map((work) => work.run()));
    },
    works,
    waitUntil: wake.waitUntil,
  };
}

function tracedWork(work: Work, id: string, claim: Claim, telemetry: Telemetry): Work {
  const { destination, isRetry } = work;
  const { deliveryId, attempt } = claim;
  const operation = deliveryOperation({ destination, groupId: id, deliveryId, attempt, trace: linksOf(claim) });
  return {
    destination,
    isRetry,
    run: () => telemetry.observe(operation, (observed) => work.run(observed)),
    ...(work.handBack === undefined ? {} : { handBack: work.handBack.bind(work) }),
  };
}
