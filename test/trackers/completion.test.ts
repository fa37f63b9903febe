import { describe, expect, it } from "vitest";
import {
  CompletionTracker,
  type CompletionTrackerOptions,
  CoordinationError,
  type CoordinatorEvent,
  type HandlerContext,
  MemoryCoordinator,
} from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";

function bench(more: object = {}) {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock, ...more });
  return { clock, coordinator };
}

describe("a completion tracker", () => {
  it.each([
    [{ timeoutSec: -1 }, "timeoutSec"],
    [{ timeoutSec: "60" }, "timeoutSec"],
    [{ ttlSec: 0 }, "ttlSec"],
    [{ ttlSec: 31_536_001 }, "ttlSec"],
    [{ earlyTtlSec: 0 }, "earlyTtlSec"],
    [{ retry: { maxAttempts: 0, baseDelayMs: 1, maxDelayMs: 1 } }, "retry.maxAttempts"],
    [{ retry: { maxAttempts: 101, baseDelayMs: 1, maxDelayMs: 1 } }, "retry.maxAttempts"],
    [{ retry: { maxAttempts: 1, baseDelayMs: -1, maxDelayMs: 1 } }, "retry.baseDelayMs"],
    [{ retry: { maxAttempts: 1, baseDelayMs: 2, maxDelayMs: 1 } }, "retry.maxDelayMs"],
    [{ attemptTimeoutSec: 0 }, "attemptTimeoutSec"],
    [{ attemptTimeoutSec: 841 }, "attemptTimeoutSec"],
    [{ handlers: { "": () => {} } }, "handlers"],
    [{ handlers: { done: "not a function" } }, "handlers.done"],
  ])("refuses the options %j", (options, field) => {
    const make = () => new CompletionTracker(bench().coordinator, options as CompletionTrackerOptions<never, unknown>);
    expect(make).toThrow(expect.objectContaining({ code: "invalid_input", message: expect.stringContaining(field) }));
  });

  it.each([
    { retry: { maxAttempts: 3, baseDelayMs: 0, maxDelayMs: 0 } },
    { attemptTimeoutSec: 300 },
    { attemptTimeoutSec: 300, handlers: {}, webhooks: undefined },
  ])("refuses to be told how to deliver when it has nothing to deliver with: %j", async (options) => {
    const { clock, coordinator } = bench();
    expect(() => new CompletionTracker(coordinator, options)).toThrow(
      expect.objectContaining({ code: "invalid_input", message: expect.stringContaining("handlers or webhooks") }),
    );
    // It leaves no tracker behind that would pass deliveries by.
    const told: number[] = [];
    const handlers = { done: () => void told.push(1) };
    await new CompletionTracker(coordinator, { handlers }).register("g", 0, {
      onComplete: { handler: "done", payload: null },
    });
    await clock.advance(0);
    expect(told).toEqual([1]);
  });

  it("holds to the ranges that its docstrings state", async () => {
    const tracker = new CompletionTracker(bench().coordinator);
    const invalid = expect.objectContaining({ code: "invalid_input" });
    const ids = Array.from({ length: 1_001 }, (_, i) => String(i));
    await tracker.register("group", ids);
    await expect(tracker.ack("group", [])).rejects.toEqual(invalid);
    await expect(tracker.ack("group", ids)).rejects.toEqual(invalid);
    await expect(tracker.ack("group", { id: "0", result: "x".repeat(16_383) })).rejects.toEqual(invalid);
    expect(await tracker.ack("group", { id: "0", result: "x".repeat(16_382) })).toMatchObject({ verdict: "accepted" });
    expect(await tracker.ack("group", ids.slice(0, 1_000))).toHaveLength(1_000);
    await tracker.register("failed", ["a", "b"]);
    await tracker.fail("failed", "a", "é".repeat(600));
    await tracker.ack("failed", { id: "b", error: "x".repeat(2_000) });
    const shown = (await tracker.status("failed"))?.errors.map(({ message }) => message.length);
    expect(shown).toEqual([128, 256]);
    const kept = (await tracker.tasks("failed", { state: "failed" }))?.items.map(({ error }) => error?.length);
    expect(kept).toEqual([512, 1_024]);
    await tracker.register("counted", 3);
    expect((await tracker.cancel("counted", "x".repeat(2_000)))?.reason).toHaveLength(1_024);
    for (const by of [0, 1.5, 1_000_000_001]) await expect(tracker.decrement("counted", by)).rejects.toEqual(invalid);
    await tracker.register("more", 3);
    expect(await tracker.decrement("more", 1_000_000_000)).toBe(0);
  });

  it.each([
    ["numbered", { indexed: 2 }],
    ["listed", ["0", "1"]],
  ])("tells the resent copy of an early ack that it was accepted, once it counted (%s tasks)", async (_, tasks) => {
    const { coordinator } = bench();
    const ack = { op: "the-same-call", tasks: [{ id: "0" }], earlyTtlMs: 60_000 };
    await coordinator.run("completion.ack", "group", ack);
    await new CompletionTracker(coordinator).register("group", tasks as { indexed: number } | string[]);
    const { results } = await coordinator.run("completion.ack", "group", ack);
    expect(results).toMatchObject([{ verdict: "accepted", remaining: 1, ended: false }]);
  });

  it("takes its deadline from the registration, else from itself, the coordinator, the default", async () => {
    const { clock, coordinator } = bench({ completionTimeoutSec: 60 });
    const deadlineOf = async (options: object, registration: object) => {
      const tracker = new CompletionTracker(coordinator, options);
      const { deadlineAtMs } = await tracker.register(crypto.randomUUID(), 1, registration);
      return deadlineAtMs === null ? null : deadlineAtMs - clock.now();
    };
    expect(await deadlineOf({ timeoutSec: 5 }, { timeoutSec: 2 })).toBe(2_000);
    expect(await deadlineOf({ timeoutSec: 5 }, {})).toBe(5_000);
    expect(await deadlineOf({}, {})).toBe(60_000);
    expect(await deadlineOf({}, { timeoutSec: 0 })).toBeNull();
    const plain = await new CompletionTracker(bench().coordinator).register("g", 1);
    expect((plain.deadlineAtMs ?? 0) - plain.generation).toBe(1_800_000);
  });

  it("gives handlers its env, its coordinator, a signal and waitUntil", async () => {
    const { clock, coordinator } = bench();
    const seen: HandlerContext<{ name: string }>[] = [];
    const background: Promise<unknown>[] = [];
    const tracker = new CompletionTracker(coordinator, {
      env: { name: "env" },
      handlers: { done: (_, ctx) => void seen.push(ctx) },
      waitUntil: (work) => void background.push(work),
    });
    await tracker.register("g", 0, { onComplete: { handler: "done", payload: null } });
    await clock.advance(0);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.env.name).toBe("env");
    expect(seen[0]?.coordinator).toBe(coordinator);
    expect(seen[0]?.signal.aborted).toBe(false);
    expect(background.length).toBeGreaterThan(0);
  });

  it("ends an attempt that takes too long, and tells its handler by the signal", async () => {
    const { clock, coordinator } = bench();
    const events: CoordinatorEvent[] = [];
    let signal: AbortSignal | undefined;
    const hangs = (_: unknown, ctx: HandlerContext) => {
      signal = ctx.signal;
      return new Promise<void>(() => {});
    };
    const tracker = new CompletionTracker(coordinator, {
      handlers: { hangs },
      attemptTimeoutSec: 0.02,
      onEvent: (event) => events.push(event),
    });
    await tracker.register("g", 0, { onComplete: { handler: "hangs", payload: null } });
    await clock.advance(0);
    // Real time is the subject: the attempt's own limit.
    while (events.length === 0) await settle();
    expect(signal?.aborted).toBe(true);
    expect(events).toMatchObject([{ type: "delivery", attempt: 1, outcome: "retry", error: "took longer than 20 ms" }]);
    expect((await tracker.status("g"))?.delivery).toMatchObject({ state: "pending", attempts: 1 });
  });

  it("row 50: shows the message of a CoordinationError, up to 256 bytes, and of nothing else that is thrown", async () => {
    const { clock, coordinator } = bench();
    const long = "é".repeat(800);
    const thrown: unknown[] = [
      new CoordinationError("backend_rejected", long),
      new Error(`s3cret ${long}`),
      new CoordinationError("conflict", ""),
      "s3cret",
      new Error(""),
    ];
    const events: CoordinatorEvent[] = [];
    const shown: (string | null | undefined)[] = [];
    /** What the last attempt left. */
    const look = async () =>
      void shown.push((await new CompletionTracker(coordinator).status("g"))?.delivery.lastError);
    const tracker = new CompletionTracker(coordinator, {
      onEvent: (event) => events.push(event),
      handlers: {
        broken: async () => {
          await look();
          throw thrown.shift();
        },
      },
      retry: { maxAttempts: 5, baseDelayMs: 1_000, maxDelayMs: 1_000 },
    });
    await tracker.register("g", 0, { onComplete: { handler: "broken", payload: null } });
    for (let i = 0; i < 100 && events.length < 5; i++) await clock.advance(100);
    await look();
    expect(shown).toEqual([
      null,
      "é".repeat(128),
      "the handler failed",
      "failed without a message",
      "the handler failed",
      "the handler failed",
    ]);
    // The owner's events say what was thrown, up to 1,024 bytes.
    expect(events.map((event) => event.type === "delivery" && event.error)).toEqual([
      "é".repeat(512),
      `s3cret ${"é".repeat(508)}`,
      "failed without a message",
      "threw a value that is no Error",
      "failed without a message",
    ]);
    expect((await tracker.status("g"))?.delivery.state).toBe("dead");
  });

  it.each([
    [new Error("https://hooks.example/?token=s3cret is down"), "the webhook failed"],
    [new CoordinationError("backend_unavailable", "webhook to hooks.example: answered 503"), /answered 503$/],
  ])("row 50: shows of a sender's failure what a CoordinationError says: %s", async (error, shown) => {
    const { clock, coordinator } = bench();
    const webhooks = { check: () => {}, send: () => Promise.reject(error) };
    const events: CoordinatorEvent[] = [];
    const tracker = new CompletionTracker(coordinator, { webhooks, onEvent: (event) => events.push(event) });
    await tracker.register("g", 0, { onEnd: { url: "https://hooks.example/?token=s3cret" } });
    await clock.advance(0);
    expect((await tracker.status("g"))?.delivery.lastError).toMatch(shown);
    expect(events).toMatchObject([{ type: "delivery", error: error.message }]);
  });

  it("row 75: says that there is no tenant where there is none", async () => {
    const { clock, coordinator } = bench();
    const seen: unknown[] = [];
    const tracker = new CompletionTracker(coordinator, { handlers: { done: (event) => void seen.push(event.tenant) } });
    await tracker.register("g", 0, { onEnd: { handler: "done", payload: null } });
    await clock.advance(0);
    expect(seen).toEqual([undefined]);
  });

  it("reports each attempt, without payloads", async () => {
    const { clock, coordinator } = bench();
    const events: CoordinatorEvent[] = [];
    let isDown = true;
    const flaky = () => {
      if (isDown) throw new Error("down");
    };
    const tracker = new CompletionTracker(coordinator, { handlers: { flaky }, onEvent: (event) => events.push(event) });
    await tracker.register("g", 0, { onComplete: { handler: "flaky", payload: "canary" } });
    await clock.advance(0);
    isDown = false;
    await clock.advance(1_000);
    expect(events).toMatchObject([
      { type: "delivery", machine: "completion", id: "g", attempt: 1, outcome: "retry", error: "down" },
      { type: "delivery", machine: "completion", id: "g", attempt: 2, outcome: "delivered" },
    ]);
    expect(JSON.stringify(events)).not.toContain("canary");
  });

  it("reports what a plain function throws, and calls it no more", async () => {
    const { clock, coordinator } = bench();
    const events: CoordinatorEvent[] = [];
    let calls = 0;
    const onComplete = () => {
      calls++;
      throw new Error("broken");
    };
    const tracker = new CompletionTracker(coordinator, { onEvent: (event) => events.push(event) });
    await tracker.register("g", 1, { onComplete });
    await tracker.ack("g", "a");
    await clock.advance(86_400_000);
    expect(calls).toBe(1);
    expect(events).toMatchObject([{ type: "wake_failed", machine: "completion", id: "g" }]);
  });

  it("follows a group for days, and delivers the end of a group that expires idle", async () => {
    const { clock, coordinator } = bench();
    const states: string[] = [];
    const tracker = new CompletionTracker(coordinator, { ttlSec: 31_536_000, timeoutSec: 0 });
    await tracker.register("long", 1, { onComplete: ({ state }) => void states.push(state) });
    await tracker.register("gone", 1, { ttlSec: 60, onEnd: ({ state }) => void states.push(state) });
    await clock.advance(3 * 86_400_000);
    await tracker.ack("long", "a");
    await settle();
    // One that nothing touched ended by silence; its own watch does not keep it.
    expect(states).toEqual(["timed_out", "completed"]);
    await clock.advance(2 * 86_400_000);
    expect(clock.pending).toBe(0);
  });
});
