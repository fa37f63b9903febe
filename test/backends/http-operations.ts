import {
  CoalesceTracker,
  type Coordinator,
  DedupeWindow,
  RequestStatsAccumulator,
  RequestWaitTracker,
} from "../../src/index.js";
import { newOp } from "../../src/op.js";

/** A public operation: what prepares it, what it does, and what it should leave and return. */
export interface Op {
  readonly name: string;
  readonly prepare?: (c: Coordinator, id: string) => Promise<unknown>;
  readonly act: (c: Coordinator, id: string) => Promise<unknown>;
  readonly returns: unknown;
  /** Reads what the operation may have changed. */
  readonly state: (c: Coordinator, id: string) => Promise<unknown>;
  readonly before: unknown;
  readonly after: unknown;
}

const requestsOf = (c: Coordinator) => new RequestWaitTracker(c, { stages: ["s"] });
const statsOf = (c: Coordinator) => new RequestStatsAccumulator(c, "faults");

async function pending(c: Coordinator, id: string): Promise<void> {
  await requestsOf(c).registerRequest(id);
  await requestsOf(c).registerRoot(id, "s", ["a", "b"]);
}

async function complete(c: Coordinator, id: string): Promise<void> {
  await requestsOf(c).registerRequest(id);
  await requestsOf(c).seal(id);
}

/** Whether it is complete, how many roots are open, and the counts. */
async function stateOf(c: Coordinator, id: string): Promise<unknown> {
  const { view } = await c.run("request.status", id, {});
  if (view === undefined) return null;
  const [stage] = view.stages;
  return [view.complete, view.open, stage?.processed ?? 0, stage?.requeueCount ?? 0, stage?.errorCount ?? 0];
}

/** Whether any version was sent: one of 1970 is then stale. */
const wasSent = (c: Coordinator, id: string) => new CoalesceTracker(c).isStale(id, 1);
const send = async (c: Coordinator, id: string) => typeof (await new CoalesceTracker(c).next(id));

const OPEN = [false, 2, 0, 0, 0];

/** What requests, versions, claims and counts are asked for. */
export const SMALL_OPS: readonly Op[] = [
  {
    name: "registerRequest",
    act: (c, id) => requestsOf(c).registerRequest(id),
    returns: { state: "pending" },
    state: stateOf,
    before: null,
    after: [false, 0, 0, 0, 0],
  },
  {
    name: "registerRoot",
    prepare: (c, id) => requestsOf(c).registerRequest(id),
    act: (c, id) => requestsOf(c).registerRoot(id, "s", ["a", "b"]),
    returns: { state: "pending" },
    state: stateOf,
    before: [false, 0, 0, 0, 0],
    after: OPEN,
  },
  {
    name: "seal",
    prepare: (c, id) => requestsOf(c).registerRequest(id),
    act: (c, id) => requestsOf(c).sealAndStatus(id),
    returns: { result: { state: "complete" }, status: { s: { processed: 0 } } },
    state: stateOf,
    before: [false, 0, 0, 0, 0],
    after: [true, 0, 0, 0, 0],
  },
  {
    name: "markDone",
    prepare: pending,
    act: (c, id) => requestsOf(c).markDone(id, "s", "a", { processed: 3, next: [{ stage: "s", rootId: "c" }] }),
    returns: { verdict: "accepted", state: "pending" },
    state: stateOf,
    before: OPEN,
    after: [false, 2, 3, 0, 0],
  },
  {
    name: "markFailed",
    prepare: pending,
    act: (c, id) => requestsOf(c).markFailed(id, "s", "a", "bad"),
    returns: { verdict: "accepted" },
    state: stateOf,
    before: OPEN,
    after: [false, 1, 0, 0, 1],
  },
  {
    name: "recordRequeue",
    prepare: pending,
    act: (c, id) => requestsOf(c).recordRequeue(id, "s", 2),
    returns: { verdict: "accepted" },
    state: stateOf,
    before: OPEN,
    after: [false, 2, 0, 2, 0],
  },
  {
    name: "queueStatus",
    prepare: pending,
    act: (c, id) => requestsOf(c).queueStatus(id),
    returns: { s: { processed: 0 } },
    state: stateOf,
    before: OPEN,
    after: OPEN,
  },
  {
    name: "waitForRequest",
    prepare: complete,
    act: (c, id) => requestsOf(c).waitForRequest(id, { timeoutMs: 8_000 }),
    returns: { s: { processed: 0 } },
    state: stateOf,
    before: [true, 0, 0, 0, 0],
    after: [true, 0, 0, 0, 0],
  },
  {
    name: "progress",
    prepare: pending,
    act: (c, id) => requestsOf(c).progress(id, 0, { timeoutMs: 8_000 }),
    returns: { state: "pending", open: 2 },
    state: stateOf,
    before: OPEN,
    after: OPEN,
  },
  {
    name: "cleanup",
    prepare: complete,
    act: (c, id) => c.run("request.cleanup", id, { op: newOp() }),
    returns: { found: true },
    state: stateOf,
    before: [true, 0, 0, 0, 0],
    after: null,
  },
  { name: "next", act: send, returns: "number", state: wasSent, before: false, after: true },
  { name: "isStale", prepare: send, act: wasSent, returns: true, state: wasSent, before: true, after: true },
  {
    name: "claim",
    act: (c, id) => new DedupeWindow(c).claim(id),
    returns: true,
    state: (c, id) => new DedupeWindow(c).claim(id),
    before: true,
    after: false,
  },
  {
    name: "release",
    prepare: (c, id) => new DedupeWindow(c).claim(id),
    act: (c, id) => new DedupeWindow(c).release(id),
    returns: true,
    state: (c, id) => new DedupeWindow(c).claim(id),
    before: false,
    after: true,
  },
  {
    name: "merge",
    prepare: (c, id) => statsOf(c).merge(id, { processed: 1 }),
    act: (c, id) => statsOf(c).merge(id, { processed: 2 }),
    returns: undefined,
    state: (c, id) => statsOf(c).consume(id),
    before: { processed: 1, requeueCount: 0, errorCount: 0 },
    after: { processed: 3, requeueCount: 0, errorCount: 0 },
  },
  {
    name: "consume",
    prepare: (c, id) => statsOf(c).merge(id, { processed: 1 }),
    act: (c, id) => statsOf(c).consume(id),
    returns: { processed: 1 },
    state: (c, id) => statsOf(c).consume(id),
    before: { processed: 1, requeueCount: 0, errorCount: 0 },
    after: null,
  },
];
