import { type Coordinator, RequestWaitTracker } from "../../../src/index.js";
import { type Operation, outspoken, type Place } from "./operation.js";

const requests = (c: Coordinator) => new RequestWaitTracker(c, { stages: ["s"] });

export async function pendingRequest({ c, id }: Pick<Place, "c" | "id">): Promise<void> {
  await requests(c).registerRequest(id);
  await requests(c).registerRoot(id, "s", ["a", "b"]);
}

async function complete({ c, id }: Place): Promise<void> {
  await requests(c).registerRequest(id);
  await requests(c).seal(id);
}

/** Whether it is complete, how many roots are open, and the counts. */
export async function requestState({ c, id }: Pick<Place, "c" | "id">): Promise<unknown> {
  const { view } = await c.run("request.status", id, {});
  if (view === undefined) return null;
  const { processed = 0, requeueCount = 0, errorCount = 0 } = view.stages[0] ?? {};
  return [view.complete, view.open, processed, requeueCount, errorCount, view.errors];
}

const others = ({ c, id }: Place) => requests(c).recordProcessed(id, "s", 100);
const again = ({ c, id }: Place) => requests(c).registerRequest(id);

const read = { reads: true, prepare: pendingRequest, observe: requestState, meanwhile: others } as const;
const write = { prepare: pendingRequest, observe: requestState, meanwhile: others } as const;

/** Requests with a waiting caller. */
export const REQUESTS: readonly Operation[] = [
  {
    method: "RequestWaitTracker.registerRequest",
    run: ({ c, id }) => requests(c).registerRequest(id),
    observe: requestState,
    meanwhile: ({ c, id }) => requests(c).cleanup(id),
  },
  {
    ...write,
    method: "RequestWaitTracker.registerRoot",
    prepare: again,
    run: ({ c, id }) => requests(c).registerRoot(id, "s", ["a", "b"]),
    meanwhile: ({ c, id }) => requests(c).markDone(id, "s", "a"),
  },
  {
    ...write,
    method: "RequestWaitTracker.seal",
    prepare: again,
    run: ({ c, id }) => requests(c).seal(id),
  },
  {
    ...write,
    method: "RequestWaitTracker.sealAndStatus",
    prepare: again,
    run: ({ c, id }) => requests(c).sealAndStatus(id),
  },
  {
    ...write,
    method: "RequestWaitTracker.abandon",
    prepare: async ({ c, id }) => {
      await requests(c).registerRequest(id, { caller: "caller" });
      await requests(c).registerRoot(id, "s", "a");
    },
    run: ({ c, id }) => requests(c).abandon(id, { caller: "caller", stage: "s", message: "failed" }),
    // Sent again after it, the call must not end the next life.
    meanwhile: again,
  },
  {
    ...write,
    method: "RequestWaitTracker.markDone",
    run: ({ c, id }) => requests(c).markDone(id, "s", "a", { processed: 3, next: [{ stage: "s", rootId: "c" }] }),
    meanwhile: ({ c, id }) => requests(c).markDone(id, "s", "c", 7),
  },
  {
    ...write,
    method: "RequestWaitTracker.markDone",
    when: "the root is not registered yet",
    prepare: again,
    run: ({ c, id }) => requests(c).markDone(id, "s", "a", 3),
    meanwhile: ({ c, id }) => requests(c).registerRoot(id, "s", ["a", "b"]),
  },
  {
    ...write,
    method: "RequestWaitTracker.markFailed",
    run: ({ c, id }) => requests(c).markFailed(id, "s", "a", "bad"),
    meanwhile: ({ c, id }) => requests(c).markFailed(id, "s", "b", "worse"),
  },
  {
    ...write,
    method: "RequestWaitTracker.recordProcessed",
    run: ({ c, id }) => requests(c).recordProcessed(id, "s", 3),
  },
  {
    ...write,
    method: "RequestWaitTracker.recordRequeue",
    run: ({ c, id }) => requests(c).recordRequeue(id, "s", 2),
  },
  {
    ...write,
    method: "RequestWaitTracker.recordError",
    run: ({ c, id }) => requests(c).recordError(id, "s", "odd"),
  },
  { ...read, method: "RequestWaitTracker.state", run: ({ c, id }) => requests(c).state(id) },
  { ...read, method: "RequestWaitTracker.queueStatus", run: ({ c, id }) => requests(c).queueStatus(id) },
  {
    ...read,
    method: "RequestWaitTracker.waitForRequest",
    waits: true,
    prepare: complete,
    run: ({ c, id, waitMs }) => requests(c).waitForRequest(id, { timeoutMs: waitMs }),
  },
  {
    ...read,
    method: "RequestWaitTracker.progress",
    waits: true,
    run: ({ c, id, waitMs }) => requests(c).progress(id, 0, { timeoutMs: waitMs }),
  },
  {
    method: "RequestWaitTracker.cleanup",
    prepare: complete,
    run: ({ c, id }) => outspoken((onEvent) => new RequestWaitTracker(c, { stages: ["s"], onEvent }).cleanup(id)),
    observe: requestState,
    meanwhile: pendingRequest,
  },
];
