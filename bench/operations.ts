import { CoalesceTracker, DedupeWindow } from "../src/index.js";
import type { OurArm } from "./arms/ours.js";

/** A public operation, and what has to be there before. */
export interface Operation {
  readonly name: string;
  prepare?(arm: OurArm, id: string): Promise<unknown>;
  run(arm: OurArm, id: string): Promise<unknown>;
}

const group = ({ groups }: OurArm, id: string) => groups.register(id, ["a", "b"]);
const endedGroup = ({ groups }: OurArm, id: string) => groups.register(id, []);
const countedGroup = ({ groups }: OurArm, id: string) => groups.register(id, 3);
const openRequest = async ({ requests }: OurArm, id: string) => {
  await requests.registerRequest(id);
  await requests.registerRoot(id, "work", "root");
};
const endedRequest = async ({ requests }: OurArm, id: string) => {
  await requests.registerRequest(id);
  await requests.seal(id);
};
const dedupe = ({ coordinator }: OurArm) => new DedupeWindow(coordinator);
const coalesce = ({ coordinator }: OurArm) => new CoalesceTracker(coordinator);

/** The public operations; not `supersede`, which has the caller's own work between two steps. */
export const OPERATIONS: readonly Operation[] = [
  { name: "incr", run: ({ coordinator }, id) => coordinator.incr(id) },
  { name: "getInt", run: ({ coordinator }, id) => coordinator.getInt(id) },
  { name: "setIfAbsent", run: ({ coordinator }, id) => coordinator.setIfAbsent(id, 60) },
  { name: "sadd", run: ({ coordinator }, id) => coordinator.sadd(id, "a", "b") },
  { name: "srem", run: ({ coordinator }, id) => coordinator.srem(id, "a") },
  { name: "scard", run: ({ coordinator }, id) => coordinator.scard(id) },
  { name: "rpush", run: ({ coordinator }, id) => coordinator.rpush(id, "a", "b") },
  { name: "lrange", run: ({ coordinator }, id) => coordinator.lrange(id) },
  { name: "expire", run: ({ coordinator }, id) => coordinator.expire(id, 60) },
  { name: "delete", run: ({ coordinator }, id) => coordinator.delete(id) },
  { name: "groups.register", run: group },
  { name: "groups.ack", prepare: group, run: ({ groups }, id) => groups.ack(id, "a") },
  { name: "groups.ack of a list", prepare: group, run: ({ groups }, id) => groups.ack(id, ["a", "b"]) },
  { name: "groups.ackAndStatus", prepare: group, run: ({ groups }, id) => groups.ackAndStatus(id, ["a"]) },
  { name: "groups.fail", prepare: group, run: ({ groups }, id) => groups.fail(id, "a", "no") },
  { name: "groups.decrement", prepare: countedGroup, run: ({ groups }, id) => groups.decrement(id) },
  { name: "groups.cancel", prepare: group, run: ({ groups }, id) => groups.cancel(id, "enough") },
  { name: "groups.status", prepare: group, run: ({ groups }, id) => groups.status(id) },
  { name: "groups.results", prepare: group, run: ({ groups }, id) => groups.results(id) },
  { name: "groups.redeliver", prepare: endedGroup, run: ({ groups }, id) => groups.redeliver(id) },
  { name: "groups.wait, ended", prepare: endedGroup, run: ({ groups }, id) => groups.wait(id) },
  { name: "requests.registerRequest", run: ({ requests }, id) => requests.registerRequest(id) },
  {
    name: "requests.registerRoot",
    prepare: openRequest,
    run: ({ requests }, id) => requests.registerRoot(id, "work", ["a", "b"]),
  },
  { name: "requests.seal", prepare: openRequest, run: ({ requests }, id) => requests.seal(id) },
  { name: "requests.markDone", prepare: openRequest, run: ({ requests }, id) => requests.markDone(id, "work", "root") },
  {
    name: "requests.markFailed",
    prepare: openRequest,
    run: ({ requests }, id) => requests.markFailed(id, "work", "root", "no"),
  },
  {
    name: "requests.recordProcessed",
    prepare: openRequest,
    run: ({ requests }, id) => requests.recordProcessed(id, "work"),
  },
  { name: "requests.state", prepare: openRequest, run: ({ requests }, id) => requests.state(id) },
  { name: "requests.queueStatus", prepare: openRequest, run: ({ requests }, id) => requests.queueStatus(id) },
  {
    name: "requests.waitForRequest, ended",
    prepare: endedRequest,
    run: ({ requests }, id) => requests.waitForRequest(id),
  },
  { name: "requests.cleanup", prepare: endedRequest, run: ({ requests }, id) => requests.cleanup(id) },
  { name: "stats.merge", run: ({ stats }, id) => stats.merge(id, { processed: 1 }) },
  { name: "stats.consume", run: ({ stats }, id) => stats.consume(id) },
  { name: "dedupe.claim", run: (arm, id) => dedupe(arm).claim(id) },
  { name: "dedupe.release", run: (arm, id) => dedupe(arm).release(id) },
  { name: "dedupe.run", run: (arm, id) => dedupe(arm).run(id, async () => "done") },
  { name: "coalesce.next", run: (arm, id) => coalesce(arm).next(id) },
  { name: "coalesce.isStale", run: (arm, id) => coalesce(arm).isStale(id, 1) },
];
