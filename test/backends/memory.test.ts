import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { type Clock, CompletionTracker, type CoordinatorEvent, MemoryCoordinator } from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

describe("the memory backend", () => {
  it("removes what has expired in proportion to what is written", async () => {
    const clock = new ManualClock();
    const coordinator = new MemoryCoordinator({ clock, ttlSec: 60 });
    for (let i = 0; i < 1_000; i++) await coordinator.incr(`old-${i}`);
    expect(coordinator.size).toBe(1_000);
    await clock.advance(61_000);
    for (let i = 0; i < 100; i++) await coordinator.incr(`new-${i}`);
    expect(coordinator.size).toBe(1_000 - 200 + 100);
    for (let i = 100; i < 500; i++) await coordinator.incr(`new-${i}`);
    expect(coordinator.size).toBe(500);
  });

  it("keeps up with keys that are written again and again", async () => {
    const clock = new ManualClock();
    const coordinator = new MemoryCoordinator({ clock, ttlSec: 60 });
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 100; i++) await coordinator.incr(`key-${i}`);
      await clock.advance(30_000);
    }
    expect(await coordinator.getInt("key-7")).toBe(20);
    expect(coordinator.size).toBe(100);
  });

  it("makes no record for a read", async () => {
    const coordinator = new MemoryCoordinator();
    const tracker = new CompletionTracker(coordinator);
    await coordinator.getInt("a");
    await coordinator.scard("a");
    await coordinator.lrange("a");
    await coordinator.srem("a", "x");
    await coordinator.expire("a", 60);
    await coordinator.delete("a");
    await tracker.status("a");
    await tracker.results("a");
    await tracker.ack("a", "t", { generation: 1 });
    expect(coordinator.size).toBe(0);
  });

  it("keeps a record whole that its clock lets expire within a call", async () => {
    // Every look at the clock is a millisecond later than the one before.
    let nowMs = 1_000;
    const clock: Clock = { now: () => nowMs++, setTimer: () => () => {} };
    for (let headstartMs = 0; headstartMs < 12; headstartMs++) {
      const tracker = new CompletionTracker(new MemoryCoordinator({ clock }), { ttlSec: 0.01, timeoutSec: 0 });
      await tracker.register("g", ["a", "b"], { metadata: "kept" });
      nowMs += headstartMs;
      if ((await tracker.ack("g", "a")).verdict !== "accepted") continue;
      const status = await tracker.status("g");
      if (status !== null) expect([status.metadata, status.remaining]).toEqual(["kept", 1]);
    }
  });

  it("sets one timer for all of its records", async () => {
    const clock = new ManualClock();
    const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
    for (let i = 0; i < 100; i++) await tracker.register(`g${i}`, 1, { timeoutSec: 600 + i });
    expect(clock.pending).toBe(1);
    await tracker.register("sooner", 1, { timeoutSec: 60 });
    expect(clock.pending).toBe(1);
    await clock.advance(10_000_000);
    expect(clock.pending).toBe(0);
  });

  it("row 51: sets one timer for all of its waits", async () => {
    const clock = new ManualClock();
    const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
    const waits = Array.from({ length: 6_000 }, (_, i) => tracker.wait(`g${i % 10}`, { timeoutMs: 10_000 + (i % 7) }));
    const outcomes = Promise.allSettled(waits);
    await settle();
    expect(clock.pending).toBe(1);
    for (let i = 0; i < 5; i++) await tracker.register(`g${i}`, 0);
    await clock.advance(20_000);
    const states = (await outcomes).map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value?.state : outcome.reason,
    );
    expect(states).toEqual(waits.map((_, i) => (i % 10 < 5 ? "completed" : undefined)));
    expect(clock.pending).toBe(0);
  });

  it("row 52: answers all waits for the same by one look, each with a status of its own", async () => {
    const coordinator = new MemoryCoordinator({ clock: new ManualClock() });
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("g", ["a"], { metadata: { n: 1 } });
    const waits = Array.from({ length: 100 }, () => tracker.wait("g"));
    const outputs = [1, 2].map(() => coordinator.watch("completion.wait", "g", {}, { timeoutMs: 60_000 }));
    await settle();
    await tracker.fail("g", "a", "broken");
    const [first, second] = await Promise.all(outputs);
    expect(first).toBe(second);
    const statuses = await Promise.all(waits);
    const [changed, other] = statuses as unknown as { metadata: { n: number }; errors: object[] }[];
    Object.assign(changed?.metadata ?? {}, { n: 2 });
    Object.assign(changed?.errors[0] ?? {}, { message: "changed" });
    changed?.errors.push({});
    expect(changed?.errors).toHaveLength(2);
    expect(other).toEqual(await tracker.status("g"));
    expect(new Set(statuses).size).toBe(100);
  });

  it("reports what an acting wake rejects with, and goes on", async () => {
    const clock = new ManualClock();
    const events: CoordinatorEvent[] = [];
    // The beginnings and ends of groups are another test's.
    const onEvent = (event: CoordinatorEvent): void => {
      if (event.type === "wake_failed") events.push(event);
    };
    const coordinator = new MemoryCoordinator({ clock, onEvent });
    const error = new Error("broken");
    const takeOut = coordinator.onWake("completion", { input: () => ({}), act: async () => Promise.reject(error) });
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("g", 1, { timeoutSec: 60 });
    await clock.advance(60_000);
    expect(events).toEqual([{ type: "wake_failed", machine: "completion", id: "g", error }]);
    takeOut();
    await tracker.register("h", 1, { timeoutSec: 60 });
    await clock.advance(60_000);
    expect(events).toHaveLength(1);
    expect((await tracker.status("h"))?.state).toBe("timed_out");
  });

  it("waits for longer than the platforms' timers can", async () => {
    const clock = new ManualClock();
    const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
    await tracker.register("g", 1, { timeoutSec: 31_536_000 });
    await clock.advance(31_535_999_000);
    expect((await tracker.status("g"))?.state).toBe("open");
    await clock.advance(1_000);
    await settle();
    expect((await tracker.status("g"))?.state).toBe("timed_out");
  });

  it.each([-1, Number.NaN, 31_536_001, "60"])("refuses a ttlSec of %s", (ttlSec) => {
    expect(() => new MemoryCoordinator({ ttlSec: ttlSec as number })).toThrow(/ttlSec/);
    expect(() => new MemoryCoordinator({ completionTimeoutSec: ttlSec as number })).toThrow(/completionTimeoutSec/);
  });

  it("keeps no process alive by its timers", async () => {
    const program = `
      import { CompletionTracker, MemoryCoordinator } from "./src/index.ts";
      const tracker = new CompletionTracker(new MemoryCoordinator(), { handlers: { done: () => {} } });
      await tracker.register("g", 1, { timeoutSec: 3600, onTimeout: { handler: "done", payload: null } });
      await tracker.register("h", 1, { timeoutSec: 3600, onComplete: () => {} });
      process.stdout.write("registered");
    `;
    const tsx = `${ROOT}node_modules/tsx/dist/cli.mjs`;
    const args = [tsx, "--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: 50_000 });
    expect(stdout).toBe("registered");
  });
});
