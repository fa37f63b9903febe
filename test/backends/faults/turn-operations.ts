import { type Coordinator, type OnEvent, RateLimiter, Semaphore } from "../../../src/index.js";
import { smallId } from "../../../src/trackers/small-key.js";
import { type Operation, outspoken, type Place } from "./operation.js";

/** The permit of another caller, with a lease of a minute. */
const HOLDER = "holder";
const LEASE_MS = 60_000;

const permits = (c: Coordinator, onEvent?: OnEvent) => new Semaphore(c, { permits: 1, leaseSec: "10m", onEvent });

async function hold({ c, id }: Place): Promise<void> {
  const input = { op: HOLDER, permits: 1, leaseMs: LEASE_MS, queue: false };
  await c.run("semaphore.acquire", await smallId("default", id), input);
}

/** Which permits are held, by the lengths of their leases, and how many callers wait. */
async function permitState({ c, id }: Place): Promise<unknown> {
  const { holders, waiting } = await permits(c).status(id);
  return [holders.map(({ expiresInMs }) => (expiresInMs > LEASE_MS ? "long" : "short")), waiting];
}

async function free(place: Place): Promise<void> {
  const { c, id } = place;
  for (const { permitId } of (await permits(c).status(id)).holders) await permits(c).release(id, permitId);
}

/** Slow enough that no call returns while a cell is tried. */
const limiter = (c: Coordinator) => new RateLimiter(c, { limit: 5, windowSec: "10h", timeoutMs: "30s" });
const limit = ({ c, id }: Place) => limiter(c).limit(id);

/** Permits and limits. */
export const TURNS: readonly Operation[] = [
  {
    method: "Semaphore.acquire",
    givesBack: true,
    // A caller that leaves through `bounded` cannot give the permit back either.
    run: async ({ c, id }) => {
      const permit = await outspoken((onEvent) => permits(c, onEvent).acquire(id));
      return permit === null ? null : [permit.fencingToken, permit.expiresAtMs];
    },
    observe: permitState,
    meanwhile: free,
  },
  {
    method: "Semaphore.acquire",
    givesBack: true,
    when: "no permit is free",
    prepare: hold,
    run: ({ c, id }) => outspoken((onEvent) => permits(c, onEvent).acquire(id)),
    observe: permitState,
  },
  {
    method: "Semaphore.acquire",
    givesBack: true,
    when: "its turn does not come in time",
    // The place in line of a caller that leaves.
    halfway: [["short"], 1],
    prepare: hold,
    run: ({ c, id }) => outspoken((onEvent) => permits(c, onEvent).acquire(id, { waitMs: 0.001 })),
    observe: permitState,
    meanwhile: free,
  },
  {
    method: "Semaphore.extend",
    prepare: hold,
    run: ({ c, id }) => permits(c).extend(id, HOLDER),
    observe: permitState,
    meanwhile: free,
  },
  {
    method: "Semaphore.release",
    prepare: hold,
    run: ({ c, id }) => permits(c).release(id, HOLDER),
    observe: permitState,
    meanwhile: ({ c, id }) => permits(c).acquire(id),
  },
  {
    method: "Semaphore.withPermit",
    givesBack: true,
    // The lease of a caller that leaves.
    halfway: [["long"], 0],
    run: ({ c, id }) => outspoken((onEvent) => permits(c, onEvent).withPermit(id, () => "done", { waitMs: 0 })),
    observe: permitState,
    meanwhile: hold,
  },
  {
    method: "Semaphore.status",
    reads: true,
    prepare: hold,
    run: permitState,
    observe: permitState,
    meanwhile: free,
  },
  {
    method: "RateLimiter.limit",
    sentOnce: true,
    run: async (place) => (await limit(place)).allowed,
    observe: async ({ c, id }) => (await limiter(c).limit(id, 0)).remaining,
    meanwhile: limit,
  },
];
