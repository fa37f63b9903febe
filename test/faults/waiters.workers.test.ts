import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { RequestWaitTracker } from "../../src/trackers/request-wait.js";
import { reached } from "../support/figures.js";
import { bench, crash, groupObject, makeTracker, resetAll } from "../support/test-worker.js";

afterEach(resetAll);

const WAITERS = 100;
const tracker = makeTracker();
const requests = new RequestWaitTracker(new DurableObjectCoordinator({ namespace: env.COORDINATOR }), {
  stages: ["fetch"],
});
const requestObject = (id: string) => env.COORDINATOR.getByName(`coord:{request}${id}`);

/** What ends each of the groups, and how the waiters must see it. */
const ENDS = {
  completed: { end: () => tracker.ack("completed", ["a", "b"]), seen: { state: "completed", ok: true, succeeded: 2 } },
  failing: {
    end: async () => [await tracker.ack("failing", "a"), await tracker.fail("failing", "b", "no such page")],
    seen: { state: "completed", ok: false, failed: 1, errors: [{ taskId: "b", stage: null, message: "no such page" }] },
  },
  cancelled: {
    end: () => tracker.cancel("cancelled", "not wanted"),
    seen: { state: "cancelled", ok: false, reason: "not wanted" },
  },
  late: { end: () => pass(30_000), seen: { state: "timed_out", ok: false, remaining: 2 } },
} as const;
/** The deadline must not pass before all waiters are there, twice: on the tests' clock it passes when the test says so. */
async function pass(ms: number): Promise<void> {
  bench.aheadMs += ms;
  await groupObject("late").ring();
}
const GROUPS = Object.keys(ENDS) as (keyof typeof ENDS)[];

/** Whose turn it is to wait: the groups' and the request's, one after the other. */
function wait(turn: number): Promise<unknown> {
  const id = [...GROUPS, undefined][turn % (GROUPS.length + 1)];
  if (id === undefined) return requests.wait("request", { timeoutMs: 20_000 });
  return tracker.wait(id, { timeoutMs: 20_000 });
}

async function watching(): Promise<number> {
  const objects = [...GROUPS.map((id) => groupObject(id)), requestObject("request")];
  const open = await Promise.all(objects.map((object) => object.openWatches()));
  return open.reduce((sum, n) => sum + n, 0);
}

/** Ends the objects with their calls under way. */
async function crashAll(): Promise<void> {
  for (const id of GROUPS) await crash(groupObject(id));
  await crash(requestObject("request"));
}

it("a hundred waiters of five objects hear the right end though all of those die, twice", async () => {
  for (const id of GROUPS) await tracker.register(id, ["a", "b"], { timeoutSec: id === "late" ? 30 : 60 });
  await requests.register("request");
  await requests.add("request", "fetch", ["r1", "r2"]);
  const waits = Array.from({ length: WAITERS }, (_, i) => wait(i));
  for (let i = 0; i < 2; i++) {
    await expect.poll(watching).toBe(WAITERS);
    await crashAll();
  }
  for (const id of GROUPS) await ENDS[id].end();
  await requests.ack("request", "fetch", "r1", { processed: 5 });
  await requests.fail("request", "fetch", "r2", "gone");
  const seen = await Promise.all(waits);
  for (const [i, status] of seen.entries()) {
    const id = GROUPS[i % (GROUPS.length + 1)];
    if (id === undefined) expect(status).toMatchObject({ stages: { fetch: { processed: 5, errorCount: 1 } } });
    else expect(status).toMatchObject({ groupId: id, ...ENDS[id].seen });
  }
  for (const id of GROUPS) {
    const told = seen.filter((_, i) => GROUPS[i % (GROUPS.length + 1)] === id);
    expect(new Set(told.map((status) => JSON.stringify(status))).size, id).toBe(1);
  }
  expect(await watching()).toBe(0);
});

it("a hundred waiters of one object hear its end, whatever becomes of it", async ({ task }) => {
  await tracker.register("g", ["a"]);
  const waits = Array.from({ length: WAITERS }, () => tracker.wait("g", { timeoutMs: 20_000 }));
  await expect.poll(() => groupObject("g").openWatches()).toBe(WAITERS);
  await crash(groupObject("g"));
  // The end comes before any waiter has connected again.
  await tracker.ack("g", "a");
  await crash(groupObject("g"));
  const seen = await Promise.all(waits);
  expect(seen).toEqual(Array(WAITERS).fill(await tracker.status("g")));
  reached(task, {
    row: "T6",
    backend: "durable-object",
    reached: `${seen.length} waiters of an object that died twice: all resolved, all alike`,
  });
});
