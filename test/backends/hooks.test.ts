import { expect, it } from "vitest";
import { CompletionTracker, CoordinationError, MemoryCoordinator } from "../../src/index.js";
import type { CoordinatorEvent } from "../../src/runtime/events.js";
import { ManualClock } from "../../src/testing/index.js";

it("wakes every record that is due, though waking fails and the event hook throws", async () => {
  const clock = new ManualClock();
  let events = 0;
  const onEvent = ({ type }: CoordinatorEvent): never => {
    if (type === "wake_failed") events++;
    throw new Error("hook");
  };
  const coordinator = new MemoryCoordinator({ clock, onEvent });
  const input = (): never => {
    throw new Error("input");
  };
  coordinator.onWake("completion", { input, act: async () => {} });
  const tracker = new CompletionTracker(coordinator);
  for (const id of ["a", "b", "c"]) await tracker.register(id, 1, { timeoutSec: 1 });
  await clock.advance(1_000);
  expect(events).toBe(3);
});

it("says that a delete of several keys may have landed, when some of them are gone", async () => {
  const coordinator = new MemoryCoordinator();
  await coordinator.incr("gone");
  const run = coordinator.run.bind(coordinator);
  coordinator.run = (transition, id, input, options) => {
    if (id !== "refused") return run(transition, id, input, options);
    return new Promise((_, reject) => {
      setTimeout(() => reject(new CoordinationError("rate_limited", "later", { retryable: true })), 5);
    });
  };
  await expect(coordinator.delete("gone", "refused")).rejects.toMatchObject({
    code: "rate_limited",
    applied: "unknown",
  });
  await expect(coordinator.delete("refused")).rejects.toMatchObject({ code: "rate_limited", applied: "no" });
});
