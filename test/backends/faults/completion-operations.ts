import { type AckResult, CompletionTracker, type Coordinator, isDrainable } from "../../../src/index.js";
import { listed, type Operation, type Place } from "./operation.js";
import { pendingRequest, requestState } from "./request-operations.js";

const TASKS = ["a", "b", "c"];

const of = (c: Coordinator) => new CompletionTracker(c);
const register = ({ c, id }: Place) => of(c).register(id, TASKS);
const restart = ({ c, id }: Place) => of(c).register(id, TASKS, { restart: true });
const ackOf = (task: string) => async (place: Place) => of(place.c).ack(place.id, { id: task, result: task });

async function half(place: Place): Promise<void> {
  await register(place);
  await ackOf("a")(place);
}

async function cancelled(place: Place): Promise<void> {
  await register(place);
  await of(place.c).cancel(place.id, "enough");
}

async function groupState({ c, id }: Place): Promise<unknown> {
  const status = await of(c).status(id);
  if (status === null) return null;
  const { state, reason, total, succeeded, failed, errors, metadata, delivery } = status;
  return { state, reason, total, succeeded, failed, errors, metadata, delivery: delivery.state };
}

async function open({ c, id }: Place): Promise<void> {
  await of(c).register(id, ["a"], { open: true });
}

const withTasks = async (place: Place) => [await groupState(place), await of(place.c).tasks(place.id)];

/** Whether its deadline is later than a new group's. */
async function isExtended({ c, id }: Place): Promise<boolean> {
  const { deadlineAtMs, registeredAtMs } = (await of(c).status(id)) ?? {};
  return Number(deadlineAtMs) - Number(registeredAtMs) > 80_000_000;
}

const withResults = async (place: Place) => [await groupState(place), await of(place.c).results(place.id)];

/** The group's generation, to name it in the next call. */
async function generationOf({ c, id }: Place): Promise<number> {
  return (await of(c).status(id))?.generation ?? 0;
}

/** The group, the task that it acks, and the webhooks that came. */
async function ends(place: Place): Promise<unknown> {
  await place.settle();
  return [await groupState(place), await requestState({ c: place.c, id: `${place.id}-request` }), place.hooked()];
}

const acksTask = ({ id }: Place) => ({ task: { requestId: `${id}-request`, stage: "s", taskId: "a" } });

/** Registers a group whose deadline has passed by the server's clock, and which no step has ended yet. */
async function overdue(place: Place): Promise<void> {
  const { c, id } = place;
  const { deadlineAtMs } = await of(c).register(id, TASKS, { timeoutSec: 0.001, onEnd: acksTask(place) });
  // A new group's generation is the server's time.
  const serverMs = async (): Promise<number> => (await of(c).register(`${id}-${crypto.randomUUID()}`, 0)).generation;
  while ((await serverMs()) <= Number(deadlineAtMs));
}

/** The verdict and the end of each ack. Leaves `remaining` out: a resent call returns its current value. */
const counted = (results: AckResult[]) => results.map(({ verdict, ended }) => [verdict, ended]);

/** The call, and the delivery that it sets off in this process. */
async function withDelivery(place: Place, call: (tracker: CompletionTracker) => Promise<unknown>): Promise<unknown> {
  const setOff: Promise<unknown>[] = [];
  const value = await call(new CompletionTracker(place.c, { waitUntil: (work) => void setOff.push(work) }));
  await Promise.all(setOff);
  return value;
}

const read = { reads: true, prepare: register, observe: groupState, meanwhile: ackOf("b") } as const;
const write = { prepare: register, observe: groupState, meanwhile: ackOf("b") } as const;

/** Groups. */
export const COMPLETIONS: readonly Operation[] = [
  { ...write, method: "CompletionTracker.register", prepare: async () => {}, run: register },
  {
    ...write,
    method: "CompletionTracker.register",
    when: "after an early ack, with metadata",
    prepare: ackOf("a"),
    run: ({ c, id }) => of(c).register(id, 3, { metadata: { from: "here" }, timeoutSec: 60 }),
  },
  { ...write, method: "CompletionTracker.register", when: "a restart", prepare: half, run: restart },
  {
    ...write,
    method: "CompletionTracker.register",
    when: "a restart of one generation",
    prepare: half,
    run: async (place) => of(place.c).register(place.id, TASKS, { restart: { from: await generationOf(place) } }),
  },
  { ...write, method: "CompletionTracker.ack", run: ackOf("a"), observe: withResults },
  {
    ...write,
    method: "CompletionTracker.ack",
    when: "before the registration",
    prepare: async () => {},
    run: ackOf("a"),
    meanwhile: register,
  },
  {
    ...write,
    method: "CompletionTracker.ack",
    when: "of one generation",
    run: async (place) => counted(await of(place.c).ack(place.id, TASKS, { generation: await generationOf(place) })),
    meanwhile: restart,
  },
  {
    ...write,
    method: "CompletionTracker.ack",
    when: "the last one, with its delivery",
    healsFrom: 1,
    prepare: async (place) => {
      await pendingRequest({ c: place.c, id: `${place.id}-request` });
      await of(place.c).register(place.id, TASKS, { onEnd: acksTask(place) });
    },
    run: (place) => withDelivery(place, async (tracker) => counted(await tracker.ack(place.id, TASKS))),
    observe: ends,
    meanwhile: (place) => place.settle(),
  },
  {
    ...write,
    method: "CompletionTracker.ackAndStatus",
    run: async ({ c, id }) => {
      const { results, status } = await of(c).ackAndStatus(id, [
        { id: "a", result: 1 },
        { id: "c", error: "bad" },
      ]);
      return [counted(results), status];
    },
  },
  { ...write, method: "CompletionTracker.fail", run: ({ c, id }) => of(c).fail(id, "a", "bad") },
  {
    ...write,
    method: "CompletionTracker.decrement",
    prepare: ({ c, id }) => of(c).register(id, 9),
    run: ({ c, id }) => of(c).decrement(id, 2),
    meanwhile: ({ c, id }) => of(c).decrement(id, 1),
  },
  {
    ...write,
    method: "CompletionTracker.ack",
    when: "that hands on",
    prepare: open,
    run: ({ c, id }) => of(c).ack(id, "a", { next: ["c", { stage: "s", id: "c" }] }),
    observe: withTasks,
    meanwhile: ({ c, id }) => of(c).ack(id, "c"),
  },
  {
    ...write,
    method: "CompletionTracker.add",
    prepare: open,
    run: ({ c, id }) => of(c).add(id, ["b", "c"]),
    observe: withTasks,
    meanwhile: ackOf("c"),
  },
  {
    ...write,
    method: "CompletionTracker.seal",
    prepare: open,
    run: ({ c, id }) => of(c).seal(id),
    meanwhile: ackOf("a"),
  },
  {
    ...write,
    method: "CompletionTracker.retry",
    prepare: async (place) => {
      await register(place);
      await of(place.c).fail(place.id, "a", "bad");
    },
    run: ({ c, id }) => of(c).retry(id, ["a", "b"]),
    observe: withTasks,
    // Sent again after it, the call must not open the task once more.
    meanwhile: ({ c, id }) => of(c).fail(id, "a", "worse"),
  },
  {
    ...write,
    method: "CompletionTracker.extend",
    run: ({ c, id }) => of(c).extend(id, { timeoutSec: 86_400 }),
    observe: async (place) => [await groupState(place), await isExtended(place)],
  },
  {
    ...write,
    method: "CompletionTracker.heartbeat",
    prepare: ({ c, id }) => of(c).register(id, TASKS, { idleTimeoutSec: 3_600 }),
    run: ({ c, id }) => of(c).heartbeat(id),
  },
  {
    ...write,
    method: "CompletionTracker.remove",
    run: ({ c, id }) => of(c).remove(id),
    meanwhile: register,
  },
  { ...write, method: "CompletionTracker.cancel", run: ({ c, id }) => of(c).cancel(id, "enough") },
  {
    ...write,
    method: "CompletionTracker.cancel",
    when: "of one generation",
    run: async (place) => of(place.c).cancel(place.id, "enough", { generation: await generationOf(place) }),
    meanwhile: restart,
  },
  { ...read, method: "CompletionTracker.status", run: ({ c, id }) => of(c).status(id) },
  {
    ...read,
    method: "CompletionTracker.list",
    prepare: async (place) => [await half(place), await listed(of(place.c))],
    run: ({ c }) => listed(of(c)),
  },
  { ...read, method: "CompletionTracker.results", prepare: half, run: ({ c, id }) => of(c).results(id) },
  { ...read, method: "CompletionTracker.tasks", prepare: half, run: ({ c, id }) => of(c).tasks(id) },
  {
    ...read,
    method: "CompletionTracker.newer",
    waits: true,
    run: ({ c, id, waitMs }) => of(c).newer(id, "", { timeoutMs: waitMs }),
  },
  {
    ...read,
    method: "CompletionTracker.wait",
    waits: true,
    prepare: cancelled,
    run: ({ c, id, waitMs }) => of(c).wait(id, { timeoutMs: waitMs }),
  },
  {
    ...write,
    method: "CompletionTracker.redeliver",
    healsFrom: 1,
    prepare: async (place) => {
      await of(place.c).register(place.id, ["a"], { onEnd: { url: place.hook } });
      await of(place.c).ack(place.id, "a");
      await place.settle();
    },
    run: (place) =>
      withDelivery(place, async (tracker) => {
        const status = await tracker.redeliver(place.id);
        // How far its delivery has come by now is no part of it.
        return [status?.state, status?.delivery.deliveryId];
      }),
    observe: ends,
    meanwhile: (place) => place.settle(),
  },
  {
    ...write,
    method: "Coordinator.drain",
    healsFrom: 0,
    prepare: async (place) => {
      await pendingRequest({ c: place.c, id: `${place.id}-request` });
      await overdue(place);
    },
    run: ({ c }) => (isDrainable(c) ? c.drain() : Promise.resolve()),
    observe: ends,
    meanwhile: (place) => place.settle(),
  },
];
