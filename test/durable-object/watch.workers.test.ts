import { runDurableObjectAlarm, SELF } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MAX_WATCHES } from "../../src/backends/durable-object/object/index.js";
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
    expect(states.map((status) => status?.state)).toEqual(Array(100).fill("completed"));
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

  it("sees the group's deadline without any write", async () => {
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
    expect(states.every((status) => status?.ok)).toBe(true);
  });

  it("row 51: is held ten thousand times by one object, and refused beyond, before anything is taken", async () => {
    await tracker.register("g", ["a"]);
    await inside(groupObject("g"), async (object) => {
      const watch = () => object.watch("completion.wait", "g", {}, 20_000);
      const held = Array.from({ length: MAX_WATCHES }, watch);
      const refused = await Promise.all([watch(), watch()]);
      expect(refused).toEqual(Array(2).fill(expect.objectContaining({ code: "limit_exceeded", retryable: true })));
      expect(object.openWatches()).toBe(MAX_WATCHES);
      object.run("completion.ack", "g", { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 1 });
      const replies = await Promise.all(held);
      expect(replies.filter(({ ok }) => ok)).toHaveLength(MAX_WATCHES);
      expect(object.openWatches()).toBe(0);
    });
  });

  it("row 53: ends at once when its client leaves, and the others go on", async () => {
    await tracker.register("g", ["a"]);
    await inside(groupObject("g"), async (object) => {
      const take = () => {};
      const [leaving, staying] = ["one", "two"].map((ticket) =>
        object.watch("completion.wait", "g", {}, 20_000, { ticket, take }),
      );
      expect(object.openWatches()).toBe(2);
      object.leave("one");
      object.leave("unknown");
      await leaving;
      expect(object.openWatches()).toBe(1);
      object.run("completion.ack", "g", { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 1 });
      expect(await staying).toMatchObject({ ok: true, output: { ready: true } });
    });
  });

  it("row 52: hands large replies over a few at a time, small ones at once", async () => {
    await tracker.register("small", ["a"]);
    await tracker.register("large", ["a"], { metadata: "x".repeat(10_000) });
    const ack = { op: "op", tasks: [{ id: "a" }], earlyTtlMs: 1 };
    await inside(groupObject("large"), async (object) => {
      const taken: (() => void)[] = [];
      const take = () => new Promise<void>((resolve) => taken.push(resolve));
      const waits = Array.from({ length: 40 }, (_, i) =>
        object.watch("completion.wait", "large", {}, 20_000, { ticket: `${i}`, take }),
      );
      object.run("completion.ack", "large", ack);
      await expect.poll(() => taken.length).toBe(16);
      taken.shift()?.();
      await expect.poll(() => taken.length).toBe(16);
      while (taken.length > 0) {
        taken.shift()?.();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(await Promise.all(waits)).toEqual(Array(40).fill({ ok: true, isTaken: true }));
    });
    await inside(groupObject("small"), async (object) => {
      const wait = object.watch("completion.wait", "small", {}, 20_000, {
        ticket: "t",
        take: () => expect.unreachable(),
      });
      object.run("completion.ack", "small", ack);
      expect(await wait).toMatchObject({ ok: true, output: { ready: true } });
    });
  });

  it("row 52: gives a large reply through the binding, and lets a client that fails to take it ask again", async () => {
    await tracker.register("g", ["a"], { metadata: "x".repeat(10_000) });
    const waits = Array.from({ length: 50 }, () => tracker.wait("g", { timeoutMs: 20_000 }));
    await watching("g", 50);
    await tracker.ack("g", "a");
    for (const status of await Promise.all(waits)) expect(status?.metadata).toHaveLength(10_000);
    await inside(groupObject("g"), async (object) => {
      const gone = () => Promise.reject(new Error("the execution context is no longer running"));
      const replies = Array.from({ length: 40 }, (_, i) =>
        object.watch("completion.wait", "g", {}, 20_000, { ticket: `${i}`, take: gone as never }),
      );
      for (const reply of await Promise.all(replies)) expect(reply.ok).toBe(false);
      const take = vi.fn();
      await object.watch("completion.wait", "g", {}, 20_000, { ticket: "t", take });
      expect(take).toHaveBeenCalledOnce();
    });
  });
});

describe("requests of one isolate", () => {
  const send = (path: string, method = "GET") => SELF.fetch(`https://app.example${path}`, { method });

  it("share a coordinator while they overlap, and the first ends early", async () => {
    await send("/groups/g", "POST");
    const first = send("/groups/g?timeoutMs=1000");
    const second = send("/groups/g?timeoutMs=10000");
    expect(await (await first).json()).toMatchObject({ state: "open" });
    expect(await (await send("/groups/g/ack", "POST")).json()).toMatchObject({ ended: true });
    expect(await (await second).json()).toMatchObject({ state: "completed" });
  });
});
