import { type Coordinator, RequestWaitTracker } from "../../../src/index.js";
import { type Operation, outspoken, type Place } from "./operation.js";

const requests = (c: Coordinator) => new RequestWaitTracker(c, { stages: ["s"] });

export async function pendingRequest({ c, id }: Pick<Place, "c" | "id">): Promise<void> {
  await requests(c).register(id);
  await requests(c).add(id, "s", ["a", "b"]);
}

async function complete({ c, id }: Place): Promise<void> {
  await requests(c).register(id);
  await requests(c).seal(id);
}

/** Whether it is complete, how many roots are open, and the counts. */
export async function requestState({ c, id }: Pick<Place, "c" | "id">): Promise<unknown> {
  const { view } = await c.run("request.status", id, {});
  if (view === undefined) return null;
  const { processed = 0, requeueCount = 0, errorCount = 0 } = view.stages[0] ?? {};
  return [view.complete, view.open, processed, requeueCount, errorCount, view.errors];
}

const others = ({ c, id }: Place) => requests(c).count(id, "s", { processed: 100 });
const again = ({ c, id }: Place) => requests(c).register(id);

const read = { reads: true, prepare: pendingRequest, observe: requestState, meanwhile: others } as const;
const write = { prepare: pendingRequest, observe: requestState, meanwhile: others } as const;

/** Requests with a waiting caller. */
export const REQUESTS: readonly Operation[] = [
  {
    method: "RequestWaitTracker.register",
    run: ({ c, id }) => requests(c).register(id),
    observe: requestState,
    meanwhile: ({ c, id }) => requests(c).remove(id),
  },
  {
    ...write,
    method: "RequestWaitTracker.add",
    prepare: again,
    run: ({ c, id }) => requests(c).add(id, "s", ["a", "b"]),
    meanwhile: ({ c, id }) => requests(c).ack(id, "s", "a"),
  },
  {
    ...write,
    method: "RequestWaitTracker.seal",
    prepare: again,
    run: ({ c, id }) => requests(c).seal(id),
  },
  {
    ...write,
    method: "RequestWaitTracker.seal",
    prepare: again,
    run: ({ c, id }) => requests(c).seal(id),
  },
  {
    ...write,
    method: "RequestWaitTracker.abandon",
    prepare: async ({ c, id }) => {
      await requests(c).register(id, { caller: "caller" });
      await requests(c).add(id, "s", "a");
    },
    run: ({ c, id }) => requests(c).abandon(id, { caller: "caller", stage: "s", message: "failed" }),
    // Sent again after it, the call must not end the next life.
    meanwhile: again,
  },
  {
    ...write,
    method: "RequestWaitTracker.markDone",
    run: ({ c, id }) => requests(c).ack(id, "s", "a", { processed: 3, next: [{ stage: "s", taskId: "c" }] }),
    meanwhile: ({ c, id }) => requests(c).ack(id, "s", "c", { processed: 7 }),
  },
  {
    ...write,
    method: "RequestWaitTracker.markDone",
    when: "the root is not registered yet",
    prepare: again,
    run: ({ c, id }) => requests(c).ack(id, "s", "a", { processed: 3 }),
    meanwhile: ({ c, id }) => requests(c).add(id, "s", ["a", "b"]),
  },
  {
    ...write,
    method: "RequestWaitTracker.markFailed",
    run: ({ c, id }) => requests(c).fail(id, "s", "a", "bad"),
    meanwhile: ({ c, id }) => requests(c).fail(id, "s", "b", "worse"),
  },
  {
    ...write,
    method: "RequestWaitTracker.recordProcessed",
    run: ({ c, id }) => requests(c).count(id, "s", { processed: 3 }),
  },
  {
    ...write,
    method: "RequestWaitTracker.recordRequeue",
    run: ({ c, id }) => requests(c).count(id, "s", { requeued: 2 }),
  },
  {
    ...write,
    method: "RequestWaitTracker.recordError",
    run: ({ c, id }) => requests(c).count(id, "s", { error: "odd" }),
  },
  { ...read, method: "RequestWaitTracker.state", run: ({ c, id }) => requests(c).status(id) },
  { ...read, method: "RequestWaitTracker.queueStatus", run: ({ c, id }) => requests(c).status(id) },
  {
    ...read,
    method: "RequestWaitTracker.waitForRequest",
    waits: true,
    prepare: complete,
    run: ({ c, id, waitMs }) => requests(c).wait(id, { timeoutMs: waitMs }),
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
