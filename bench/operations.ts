import { CoalesceTracker, DedupeWindow, RateLimiter, Semaphore } from "../src/index.js";
import type { OurArm } from "./arms/ours.js";

/** A public operation, and what has to be there before. */
export interface Operation {
  readonly name: string;
  prepare?(arm: OurArm, id: string): Promise<unknown>;
  run(arm: OurArm, id: string): Promise<unknown>;
}

const group = ({ groups }: OurArm, id: string) => groups.register(id, ["a", "b"]);
const endedGroup = ({ groups }: OurArm, id: string) => groups.register(id, []);
const openGroup = ({ groups }: OurArm, id: string) => groups.register(id, ["a"], { open: true });
const failedTask = async (arm: OurArm, id: string) => {
  await group(arm, id);
  await arm.groups.fail(id, "a", "no");
};
const countedGroup = ({ groups }: OurArm, id: string) => groups.register(id, 3);
const openRequest = async ({ requests }: OurArm, id: string) => {
  await requests.register(id);
  await requests.add(id, "work", "task");
};
const endedRequest = async ({ requests }: OurArm, id: string) => {
  await requests.register(id);
  await requests.seal(id);
};
const dedupe = ({ coordinator }: OurArm) => new DedupeWindow(coordinator);
const semaphore = ({ coordinator }: OurArm) => new Semaphore(coordinator, { permits: 1 });
const limiter = ({ coordinator }: OurArm) => new RateLimiter(coordinator, { limit: 100, windowSec: 60 });
const coalesce = ({ coordinator }: OurArm) => new CoalesceTracker(coordinator);

/** The public operations, except those of `AROUND_WORK`. */
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
  { name: "groups.add", prepare: openGroup, run: ({ groups }, id) => groups.add(id, ["b", "c"]) },
  {
    name: "groups.ack, handing on",
    prepare: openGroup,
    run: ({ groups }, id) => groups.ack(id, "a", { next: ["b", "c"] }),
  },
  { name: "groups.seal", prepare: openGroup, run: ({ groups }, id) => groups.seal(id) },
  { name: "groups.retry", prepare: failedTask, run: ({ groups }, id) => groups.retry(id, "a") },
  { name: "groups.extend", prepare: group, run: ({ groups }, id) => groups.extend(id, { timeoutSec: "1h" }) },
  { name: "groups.heartbeat", prepare: group, run: ({ groups }, id) => groups.heartbeat(id) },
  { name: "groups.remove", prepare: group, run: ({ groups }, id) => groups.remove(id) },
  { name: "groups.tasks", prepare: group, run: ({ groups }, id) => groups.tasks(id) },
  { name: "groups.newer", prepare: group, run: ({ groups }, id) => groups.newer(id, "") },
  { name: "groups.cancel", prepare: group, run: ({ groups }, id) => groups.cancel(id, "enough") },
  { name: "groups.status", prepare: group, run: ({ groups }, id) => groups.status(id) },
  { name: "groups.results", prepare: group, run: ({ groups }, id) => groups.results(id) },
  { name: "groups.redeliver", prepare: endedGroup, run: ({ groups }, id) => groups.redeliver(id) },
  { name: "groups.wait, ended", prepare: endedGroup, run: ({ groups }, id) => groups.wait(id) },
  { name: "requests.register", run: ({ requests }, id) => requests.register(id) },
  { name: "requests.add", prepare: openRequest, run: ({ requests }, id) => requests.add(id, "work", ["a", "b"]) },
  { name: "requests.seal", prepare: openRequest, run: ({ requests }, id) => requests.seal(id) },
  { name: "requests.ack", prepare: openRequest, run: ({ requests }, id) => requests.ack(id, "work", "task") },
  {
    name: "requests.ack, handing on",
    prepare: openRequest,
    run: ({ requests }, id) => requests.ack(id, "work", "task", { next: [{ stage: "work", taskIds: "next" }] }),
  },
  { name: "requests.fail", prepare: openRequest, run: ({ requests }, id) => requests.fail(id, "work", "task", "no") },
  {
    name: "requests.count",
    prepare: openRequest,
    run: ({ requests }, id) => requests.count(id, "work", { processed: 1 }),
  },
  { name: "requests.cancel", prepare: openRequest, run: ({ requests }, id) => requests.cancel(id, "enough") },
  { name: "requests.status", prepare: openRequest, run: ({ requests }, id) => requests.status(id) },
  { name: "requests.tasks", prepare: openRequest, run: ({ requests }, id) => requests.tasks(id) },
  { name: "requests.wait, ended", prepare: endedRequest, run: ({ requests }, id) => requests.wait(id) },
  { name: "requests.newer", prepare: openRequest, run: ({ requests }, id) => requests.newer(id, "") },
  { name: "requests.remove", prepare: endedRequest, run: ({ requests }, id) => requests.remove(id) },
  { name: "stats.merge", run: ({ stats }, id) => stats.merge(id, { processed: 1 }) },
  { name: "stats.consume", run: ({ stats }, id) => stats.consume(id) },
  { name: "dedupe.claim", run: (arm, id) => dedupe(arm).claim(id) },
  { name: "dedupe.release", run: (arm, id) => dedupe(arm).release(id) },
  { name: "dedupe.forget", run: (arm, id) => dedupe(arm).forget(id) },
  { name: "semaphore.acquire", run: (arm, id) => semaphore(arm).acquire(id) },
  { name: "semaphore.extend", run: (arm, id) => semaphore(arm).extend(id, "permit") },
  { name: "semaphore.release", run: (arm, id) => semaphore(arm).release(id, "permit") },
  { name: "semaphore.status", run: (arm, id) => semaphore(arm).status(id) },
  { name: "limiter.limit", run: (arm, id) => limiter(arm).limit(id) },
  { name: "coalesce.next", run: (arm, id) => coalesce(arm).next(id) },
  { name: "coalesce.isStale", run: (arm, id) => coalesce(arm).isStale(id, 1) },
];

/** The public operations that have the caller's own work between two steps. */
export const AROUND_WORK: readonly Operation[] = [
  { name: "dedupe.run", run: (arm, id) => dedupe(arm).run(id, async () => "done") },
  { name: "semaphore.withPermit", run: (arm, id) => semaphore(arm).withPermit(id, async () => "done") },
  { name: "coalesce.supersede", run: (arm, id) => coalesce(arm).supersede(id, async () => {}) },
];
