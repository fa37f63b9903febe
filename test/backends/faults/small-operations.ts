import { CoalesceTracker, type Coordinator, DedupeWindow, RequestStatsAccumulator } from "../../../src/index.js";
import { type Operation, outspoken, type Place } from "./operation.js";

const versions = (c: Coordinator) => new CoalesceTracker(c);
const claims = (c: Coordinator) => new DedupeWindow(c);
const stats = (c: Coordinator) => new RequestStatsAccumulator(c, "faults");

/** Whether any version was sent, which makes one of 1970 stale; whether the newest one that we know of is. */
const stale = async ({ c, id, memo }: Place) => [
  await versions(c).isStale(id, 1),
  memo.version === undefined ? false : await versions(c).isStale(id, memo.version),
];
const another = async ({ c, id, memo }: Place) => {
  memo.version = await versions(c).next(id);
};
const claimable = ({ c, id }: Place) => claims(c).claim(id);
const claimed = ({ c, id }: Place) => claims(c).claim(id);
const counts = ({ c, id }: Place) => stats(c).consume(id);

/** Versions, claims and counts. */
export const SMALL_THINGS: readonly Operation[] = [
  {
    method: "CoalesceTracker.next",
    run: ({ c, id }) => versions(c).next(id),
    observe: stale,
    meanwhile: another,
  },
  {
    method: "CoalesceTracker.isStale",
    reads: true,
    prepare: ({ c, id }) => versions(c).next(id),
    run: ({ c, id }) => versions(c).isStale(id, 1),
    observe: stale,
    meanwhile: another,
  },
  {
    method: "CoalesceTracker.supersede",
    // Once it was sent, the receiver takes the last step.
    healsFrom: 1,
    halfway: [true, false],
    prepare: another,
    run: ({ c, id, memo }) =>
      outspoken((onEvent) =>
        new CoalesceTracker(c, { onEvent }).supersede(id, (version) => {
          memo.received = version;
        }),
      ),
    observe: async (place) => {
      const { c, id, memo } = place;
      if (memo.received !== undefined) await versions(c).isStale(id, memo.received);
      return stale(place);
    },
    meanwhile: another,
  },
  {
    method: "DedupeWindow.claim",
    run: ({ c, id }) => claims(c).claim(id),
    observe: claimable,
    meanwhile: ({ c, id }) => claims(c).release(id),
  },
  {
    method: "DedupeWindow.release",
    prepare: claimed,
    run: ({ c, id }) => claims(c).release(id),
    observe: claimable,
    meanwhile: claimed,
  },
  {
    method: "DedupeWindow.run",
    givesBack: true,
    // The lease of a caller that leaves.
    halfway: false,
    run: ({ c, id }) => outspoken((onEvent) => new DedupeWindow(c, { onEvent }).run(id, () => "done")),
    observe: claimable,
    meanwhile: ({ c, id }) => claims(c).forget(id),
  },
  {
    method: "DedupeWindow.forget",
    prepare: ({ c, id }) => claims(c).run(id, () => "done"),
    run: ({ c, id }) => claims(c).forget(id),
    observe: claimable,
    meanwhile: claimed,
  },
  {
    method: "DedupeWindow.run",
    givesBack: true,
    when: "work that fails",
    // The key is free when the lease ends.
    halfway: false,
    run: ({ c, id }) => {
      const failure = new Error("the queue is full");
      return outspoken((onEvent) =>
        new DedupeWindow(c, { onEvent })
          .run(id, () => Promise.reject(failure))
          .catch((error: unknown) => {
            if (error !== failure) throw error;
            return "told";
          }),
      );
    },
    observe: claimable,
    meanwhile: claimed,
  },
  {
    method: "RequestStatsAccumulator.merge",
    prepare: ({ c, id }) => stats(c).merge(id, { processed: 1 }),
    run: ({ c, id }) => stats(c).merge(id, { processed: 2, errorCount: 1 }),
    observe: counts,
    meanwhile: ({ c, id }) => stats(c).merge(id, { requeueCount: 10 }),
  },
  {
    method: "RequestStatsAccumulator.consume",
    prepare: ({ c, id }) => stats(c).merge(id, { processed: 1 }),
    run: counts,
    observe: counts,
    meanwhile: ({ c, id }) => stats(c).merge(id, { processed: 5 }),
  },
];
