import { runDurableObjectAlarm, SELF } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { MAX_WATCHES } from "../../src/durable-object/index.js";
import { bench, crash, groupObject, inside, makeTracker, outputOf, resetAll } from "../support/test-worker.js";

afterEach(resetAll);

const tracker = makeTracker();

/** Until so many watches are open in the group's object. */
function watching(id: string, count: number): Promise<void> {
  return expect.poll(() => groupObject(id).openWatches()).toBe(count);
}

describe("a watch", () => {
  it("resolves a hundred waiters by the one write that ends the group", async () => {
    await tracker.register("g", ["a"]);
    const waits = Array.from({ length: 100 }, () => tracker.wait("g", { timeoutMs: 10_000 }));
    await watching("g", 100);
    await tracker.ack("g", "a");
    const states = await Promise.all(waits);
    expect(states.map(({ state }) => state)).toEqual(Array(100).fill("completed"));
    await watching("g", 0);
  });

  it("resolves in the turn of the write", async () => {
    await tracker.register("g", ["a"]);
    await inside(groupObject("g"), async (object) => {
      const watch = object.watch("completion.wait", "g", {}, 20_000);
      object.run("completion.ack", "g", { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 1 });
      let done = false;
      void watch.then(() => {
        done = true;
      });
      for (let i = 0; i < 5; i++) await Promise.resolve();
      expect(done).toBe(true);
    });
  });

  it("waits for a group that is not registered yet", async () => {
    const wait = tracker.wait("g", { timeoutMs: 10_000 });
    await watching("g", 1);
    await tracker.register("g", []);
    expect(await wait).toMatchObject({ state: "completed" });
  });

  it("comes back with the last output at the end of its hop", async () => {
    await tracker.register("g", ["a"]);
    expect(outputOf(await groupObject("g").watch("completion.wait", "g", {}, 20))).toMatchObject({ ready: false });
    expect(outputOf(await groupObject("g").watch("completion.wait", "g", {}, 0))).toMatchObject({ ready: false });
    await watching("g", 0);
  });

  it("sees the deadline though nobody writes", async () => {
    await tracker.register("g", ["a"], { timeoutSec: 0.2 });
    expect(await tracker.wait("g", { timeoutMs: 5_000 })).toMatchObject({ state: "timed_out" });
  });

  it("is woken by the alarm that ends the group", async () => {
    bench.frozenAtMs = Date.now() + 3_600_000;
    await tracker.register("g", ["a"], { timeoutSec: 60 });
    const wait = tracker.wait("g", { timeoutMs: 10_000 });
    await watching("g", 1);
    bench.aheadMs = 60_000;
    await runDurableObjectAlarm(groupObject("g"));
    expect(await wait).toMatchObject({ state: "timed_out" });
  });

  it("is taken up again when the object is evicted, by a hundred waiters", async () => {
    await tracker.register("g", ["a"]);
    const waits = Array.from({ length: 100 }, () => tracker.wait("g", { timeoutMs: 20_000 }));
    await watching("g", 100);
    await crash(groupObject("g"));
    await tracker.ack("g", "a");
    const states = await Promise.all(waits);
    expect(states.every(({ ok }) => ok)).toBe(true);
  });

  it("is refused beyond what an object holds", async () => {
    await tracker.register("g", ["a"]);
    await inside(groupObject("g"), async (object) => {
      const watch = () => object.watch("completion.wait", "g", {}, 20_000);
      const held = Array.from({ length: MAX_WATCHES }, watch);
      expect(await watch()).toMatchObject({ ok: false, code: "limit_exceeded", retryable: true });
      object.run("completion.ack", "g", { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 1 });
      expect(await Promise.all(held)).toHaveLength(MAX_WATCHES);
    });
  });
});

describe("requests of one isolate", () => {
  const send = (path: string, method = "GET") => SELF.fetch(`https://app.example${path}`, { method });

  it("share a coordinator while they overlap, and the first ends early", async () => {
    await send("/groups/g", "POST");
    const first = send("/groups/g?timeoutMs=100");
    const second = send("/groups/g?timeoutMs=10000");
    expect((await first).status).toBe(504);
    expect(await (await send("/groups/g/ack", "POST")).json()).toMatchObject({ ended: true });
    expect(await (await second).json()).toMatchObject({ state: "completed" });
  });
});
