import { describe, expect, it, vi } from "vitest";
import { CompletionTracker, CoordinationError, drainEvery, MemoryCoordinator } from "../src/index.js";
import type { CoordinatorEvent } from "../src/runtime/events.js";
import { emit, hookOrWarning } from "../src/runtime/events.js";
import { ManualClock } from "../src/testing/index.js";

const delivery = (
  outcome: "delivered" | "retry" | "dead" | "stale" | "unhandled",
  error?: string,
): CoordinatorEvent => ({
  type: "delivery",
  machine: "completion",
  id: "g",
  deliveryId: "msg_1",
  attempt: 3,
  outcome,
  ...(error === undefined ? {} : { error }),
});

function warnings() {
  const lines: string[] = [];
  let nowMs = 1_000_000;
  const hook = hookOrWarning(
    undefined,
    () => nowMs,
    (line) => void lines.push(line),
  );
  return { lines, hook, pass: (ms: number) => (nowMs += ms) };
}

describe("row 48: without onEvent, the console", () => {
  it.each([
    ["a missing handler", delivery("unhandled", "no running instance has handler:x"), /"g" waits: .*handler:x/],
    ["a dead letter", delivery("dead", "postgres://app:s3cret@db"), /"g" is a dead letter \(attempts: 3\)/],
    [
      "a wake-up that failed",
      { type: "wake_failed", machine: "completion", id: "g", error: new Error("s3cret") },
      /wake_failed "g": an error that onEvent shows\. /,
    ],
    [
      "a drain that failed",
      { type: "drain_failed", error: new CoordinationError("backend_unavailable", "Upstash answered 503") },
      /drain_failed: Upstash answered 503/,
    ],
  ] as const)("gets one line about %s, without the text of others", (_, event, line) => {
    const { lines, hook } = warnings();
    hook(event);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(line);
    expect(lines[0]).toContain("Set onEvent");
    expect(lines[0]).not.toContain("s3cret");
  });

  it.each([
    delivery("delivered"),
    delivery("retry", "down"),
    delivery("stale"),
    { type: "followup_failed", transition: "dedupe.release", id: "r", error: new Error("away") },
  ] as const)("gets nothing about what needs no person: $outcome $type", (event) => {
    const { lines, hook } = warnings();
    hook(event);
    expect(lines).toEqual([]);
  });

  it("gets at most one line a minute, which counts those between", () => {
    const { lines, hook, pass } = warnings();
    for (let i = 0; i < 100; i++) hook(delivery("dead"));
    expect(lines).toHaveLength(1);
    pass(59_999);
    hook(delivery("dead"));
    expect(lines).toHaveLength(1);
    pass(1);
    hook(delivery("unhandled", "no running instance sends webhooks"));
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain("(and 100 more events since the last warning)");
    pass(60_000);
    hook(delivery("dead"));
    expect(lines[2]).not.toContain("more events");
  });

  it("gets no line break from a handler's name or a group's id", () => {
    const { lines, hook, pass } = warnings();
    hook({ ...delivery("unhandled", "no running instance has handler:x\nERROR forged"), id: "g\nforged" } as never);
    pass(60_000);
    hook({ type: "wake_failed", machine: "completion", id: "g\nforged", error: undefined });
    expect(lines.join("")).not.toContain("\n");
  });

  it("gets nothing at all with a hook, not even one that does nothing", () => {
    const hook = (): void => {};
    expect(hookOrWarning(hook)).toBe(hook);
  });
});

describe("row 48: an instance without onEvent warns on the console", () => {
  it.each(["nobody", "url"])("of a delivery that it cannot make, by its coordinator: %s", async (target) => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      const clock = new ManualClock();
      const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
      const onEnd = target === "url" ? { url: "https://a.example/" } : { handler: "nobody" };
      for (const id of ["a", "b", "c"]) await tracker.register(id, 0, { onEnd });
      await clock.advance(30_000);
      expect(warn.mock.calls).toEqual([[expect.stringMatching(/group "a" waits: .*no running instance/)]]);
    } finally {
      warn.mockRestore();
    }
  });

  it("of a dead letter, by its tracker, and of a plain function that throws", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      const clock = new ManualClock();
      const broken = (): never => {
        throw new Error("s3cret");
      };
      const retry = { maxAttempts: 1, baseDelayMs: 0, maxDelayMs: 0 };
      const handlers = { broken };
      const options = () => [new MemoryCoordinator({ clock, onEvent: () => {} }), { handlers, retry }] as const;
      await new CompletionTracker(...options()).register("durable", 0, { onEnd: { handler: "broken" } });
      await new CompletionTracker(...options()).register("plain", 0, { onEnd: broken });
      await clock.advance(1);
      const lines = warn.mock.calls.flat().map(String).sort();
      expect(lines).toHaveLength(2);
      expect(lines[0]).toMatch(/group "durable" is a dead letter/);
      expect(lines[1]).toMatch(/wake_failed "plain"/);
      expect(lines.join()).not.toContain("s3cret");
    } finally {
      warn.mockRestore();
    }
  });

  it("of a drain that fails", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      const clock = new ManualClock();
      const coordinator = Object.assign(new MemoryCoordinator({ clock }), {
        drain: () => Promise.reject(new CoordinationError("unauthorized", "the token is wrong")),
      });
      const stop = drainEvery(coordinator, { clock, everyMs: 1_000, random: () => 0 });
      await clock.advance(1);
      await stop();
      expect(warn.mock.calls).toEqual([[expect.stringMatching(/drain_failed: the token is wrong/)]]);
    } finally {
      warn.mockRestore();
    }
  });
});

it("a hook that throws, or whose promise rejects, stops nothing", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  emit(() => {
    throw new Error("at once");
  }, delivery("dead"));
  emit(async () => {
    throw new Error("later");
  }, delivery("dead"));
  await new Promise((resolve) => setTimeout(resolve, 1));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});
