import { type Coordinator, RequestWaitTracker } from "../../../src/index.js";
import { listed, type Operation, type Place } from "./operation.js";

const requests = (c: Coordinator) => new RequestWaitTracker(c, { stages: ["s"] });

export async function pendingRequest({ c, id }: Pick<Place, "c" | "id">): Promise<void> {
  await requests(c).register(id);
  await requests(c).add(id, "s", ["a", "b"]);
}

async function complete({ c, id }: Place): Promise<void> {
  await requests(c).register(id);
  await requests(c).seal(id);
}

/** The state, how many tasks are open, and the counts. */
export async function requestState({ c, id }: Pick<Place, "c" | "id">): Promise<unknown> {
  const status = await requests(c).status(id);
  if (status === null) return null;
  const { processed, requeueCount, errorCount, errors } = status.stages.s;
  return [status.state, status.open, processed, requeueCount, errorCount, errors];
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
    method: "RequestWaitTracker.abandon",
    prepare: async ({ c, id }) => {
      await requests(c).register(id, { caller: "caller" });
      await requests(c).add(id, "s", "a");
    },
    run: ({ c, id }) => requests(c).abandon(id, { caller: "caller", message: "failed" }),
    // Sent again after it, the call must not end the next generation.
    meanwhile: again,
  },
  {
    ...write,
    method: "RequestWaitTracker.ack",
    run: ({ c, id }) => requests(c).ack(id, "s", "a", { processed: 3, next: [{ stage: "s", taskIds: "c" }] }),
    meanwhile: ({ c, id }) => requests(c).ack(id, "s", "c", { processed: 7 }),
  },
  {
    ...write,
    method: "RequestWaitTracker.ack",
    when: "the task is not added yet",
    prepare: again,
    run: ({ c, id }) => requests(c).ack(id, "s", "a", { processed: 3 }),
    meanwhile: ({ c, id }) => requests(c).add(id, "s", ["a", "b"]),
  },
  {
    ...write,
    method: "RequestWaitTracker.fail",
    run: ({ c, id }) => requests(c).fail(id, "s", "a", "bad"),
    meanwhile: ({ c, id }) => requests(c).fail(id, "s", "b", "worse"),
  },
  {
    ...write,
    method: "RequestWaitTracker.count",
    when: "what was processed",
    run: ({ c, id }) => requests(c).count(id, "s", { processed: 3 }),
  },
  {
    ...write,
    method: "RequestWaitTracker.count",
    when: "what is requeued",
    run: ({ c, id }) => requests(c).count(id, "s", { requeued: 2 }),
  },
  {
    ...write,
    method: "RequestWaitTracker.count",
    when: "an error",
    run: ({ c, id }) => requests(c).count(id, "s", { error: "odd" }),
  },
  { ...write, method: "RequestWaitTracker.cancel", run: ({ c, id }) => requests(c).cancel(id, "enough") },
  { ...read, method: "RequestWaitTracker.status", run: ({ c, id }) => requests(c).status(id) },
  {
    ...read,
    method: "RequestWaitTracker.list",
    prepare: async (place) => [await pendingRequest(place), await listed(requests(place.c))],
    run: ({ c }) => listed(requests(c)),
  },
  { ...read, method: "RequestWaitTracker.tasks", run: ({ c, id }) => requests(c).tasks(id) },
  {
    ...read,
    method: "RequestWaitTracker.wait",
    waits: true,
    prepare: complete,
    run: ({ c, id, waitMs }) => requests(c).wait(id, { timeoutMs: waitMs }),
  },
  {
    ...read,
    method: "RequestWaitTracker.newer",
    waits: true,
    run: ({ c, id, waitMs }) => requests(c).newer(id, "", { timeoutMs: waitMs }),
  },
  {
    method: "RequestWaitTracker.remove",
    prepare: complete,
    run: ({ c, id }) => requests(c).remove(id),
    observe: requestState,
    meanwhile: pendingRequest,
  },
];
