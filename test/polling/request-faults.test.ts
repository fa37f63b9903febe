import { describe, expect, it } from "vitest";
import { fails, usePolling } from "./bench.js";
import type { Event } from "./interleaving.js";
import { PollingRequestWait } from "./request-wait.js";

// Two halves of rows are not shown by this port:
//
// | row | what                        | why not                                                                          |
// | --- | --------------------------- | -------------------------------------------------------------------------------- |
// | 22  | the frozen event loop       | its client blocked the thread; every client here is asynchronous                 |
// | 23  | maps that only grow         | a leak of its process that no command shows; the port keeps no map of requests   |

const { redis, id, connect, exists, lapse } = usePolling();
const NOTHING = { processed: 0, errorCount: 0, errors: [] };

const tracker = (...events: Event[]) => new PollingRequestWait(connect(...events), { pollMs: 5 });

/** A request with open roots. */
async function pending(...roots: string[]) {
  const [requests, request] = [tracker(), id("request")];
  await requests.registerRequest(request);
  for (const root of roots) await requests.registerRoot(request, root);
  return { requests, request, keys: PollingRequestWait.keysOf(request) };
}

describe("polling design, a request where nothing goes wrong", () => {
  it("waits until every root is marked, tells what became of them, and leaves nothing", async () => {
    const { requests, request, keys } = await pending("a", "b");
    expect(await requests.wait(request, 20)).toBeNull();
    const wait = requests.wait(request, 10_000);
    await tracker().markDone(request, "a");
    await tracker().recordError(request, "slow");
    await tracker().markDone(request, "b");
    expect(await wait).toMatchObject({ errorCount: 1, errors: ["slow"] });
    for (const key of [keys.pending, keys.errorCount, keys.messages]) expect(await exists(key)).toBe(false);
  });

  it("gives every key an end", async () => {
    const { requests, request, keys } = await pending("a", "b");
    await requests.markFailed(request, "a", "broken");
    for (const key of Object.values(keys)) expect(await redis.ttl(key)).toBeGreaterThan(3_500);
    expect(await requests.status(request)).toEqual({ processed: 0, errorCount: 1, errors: ["broken"] });
  });
});

describe("polling design", () => {
  it("fault 15: a waiter that looks between the two writes of a failure is told of a success", async ({ task }) => {
    const { requests, request } = await pending("a");
    let told: unknown;
    const look = async () => {
      told = await requests.wait(request, 1_000);
    };
    await tracker({ at: "SREM", after: look }).markFailed(request, "a", "the model is gone");
    fails(task, 15, "a failure is reported as success");
    expect(told).toEqual(NOTHING);
  });

  it("fault 16: a request whose time is over with work pending is complete, all zeros", async ({ task }) => {
    const { requests, request, keys } = await pending("a");
    for (const key of [keys.pending, keys.processed, keys.errorCount]) await lapse(key);
    fails(task, 16, "lapsed reads as complete");
    expect(await requests.isComplete(request)).toBe(true);
    expect(await requests.wait(request, 1_000)).toEqual(NOTHING);
  });

  it("fault 16: an id that nobody has registered is complete, all zeros", async ({ task }) => {
    fails(task, 16, "unknown reads as complete");
    expect(await tracker().wait(id("request"), 1_000)).toEqual(NOTHING);
  });

  it("fault 17: the first waiter cleans up, and the second is told zeros", async ({ task }) => {
    const { requests, request } = await pending("a");
    await requests.markFailed(request, "a", "broken");
    expect(await requests.wait(request, 1_000)).toEqual({ processed: 0, errorCount: 1, errors: ["broken"] });
    fails(task, 17, "the second waiter sees zeros");
    expect(await tracker().wait(request, 1_000)).toEqual(NOTHING);
  });

  it("fault 18: a mark before its root is registered is lost, and the request hangs", async ({ task }) => {
    const { requests, request } = await pending();
    await requests.markDone(request, "a");
    await requests.registerRoot(request, "a");
    fails(task, 18, "hangs though all is done");
    expect(await requests.wait(request, 50)).toBeNull();
    expect((await requests.status(request)).processed).toBe(1);
  });

  it("fault 19: a wait before the first root is registered is over at once", async ({ task }) => {
    const { requests, request } = await pending();
    const told = await requests.wait(request, 1_000);
    await requests.registerRoot(request, "a");
    fails(task, 19, "complete before any root");
    expect(told).toEqual(NOTHING);
    expect(await requests.isComplete(request)).toBe(false);
  });

  it("fault 20: a root that is done twice counts twice", async ({ task }) => {
    const { requests, request } = await pending("a", "b");
    await requests.markDone(request, "a");
    await tracker().markDone(request, "a");
    fails(task, 20, "processed = 2 for one root");
    expect((await requests.status(request)).processed).toBe(2);
    expect(await requests.isComplete(request)).toBe(false);
  });

  it("fault 21: a mark that meets the cleanup brings its counter back, for good", async ({ task }) => {
    const { requests, request, keys } = await pending("a");
    const cleanUp = () => requests.wait(request, 1_000);
    await tracker({ at: "SREM", after: cleanUp }).markDone(request, "a");
    fails(task, 21, "a key is resurrected, without TTL");
    expect(await redis.get(keys.processed)).toBe("1");
    expect(await redis.ttl(keys.processed)).toBe(-1);
    await redis.del(keys.processed);
  });

  it("fault 22: a wait lasts as long as a backend that does not answer", async ({ task }) => {
    const { request } = await pending("a");
    let answer = () => {};
    const stalled = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const wait = tracker({ at: "SCARD", after: () => stalled }).wait(request, 20);
    const first = await Promise.race([
      wait.then(() => "the wait"),
      new Promise((resolve) => setTimeout(() => resolve("ten times its time"), 200)),
    ]);
    answer();
    fails(task, 22, "a wait of 20 ms still waits after 200");
    expect(first).toBe("ten times its time");
    expect(await wait).toBeNull();
  });

  it("fault 23: 3,000 errors of 1 KB make a status of 3 MB", async ({ task }) => {
    const { requests, request } = await pending("a");
    const message = "x".repeat(1_024);
    for (let i = 0; i < 3_000; i += 500) {
      await Promise.all(Array.from({ length: 500 }, () => requests.recordError(request, message)));
    }
    await requests.markDone(request, "a");
    const status = await requests.wait(request, 10_000);
    fails(task, 23, "3,000 errors make a status of 3 MB");
    expect(status?.errors).toHaveLength(3_000);
    expect(JSON.stringify(status).length).toBeGreaterThan(3_000_000);
  });
});
