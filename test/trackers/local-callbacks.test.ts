import { expect, it } from "vitest";
import { CompletionTracker, type CoordinatorEvent, MemoryCoordinator } from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";

it("says so when the generation of a plain function is gone before its instance saw the end", async () => {
  const coordinator = new MemoryCoordinator({ clock: new ManualClock() });
  const watch = coordinator.watch.bind(coordinator);
  // An instance that looks only now and then, as one in the background does on Redis.
  let look = (): void => {};
  const looked = new Promise<void>((resolve) => {
    look = resolve;
  });
  coordinator.watch = async (transition, id, input, options) => {
    await looked;
    return watch(transition, id, input, options);
  };
  const events: CoordinatorEvent[] = [];
  let calls = 0;
  const tracker = new CompletionTracker(coordinator, { onEvent: (event) => events.push(event) });
  await tracker.register("g", ["a"], { onEnd: () => void calls++ });
  await tracker.ack("g", "a");
  await new CompletionTracker(coordinator).register("g", ["b"], { restart: true });
  look();
  await expect.poll(() => events).toMatchObject([{ type: "wake_failed", id: "g", error: { code: "conflict" } }]);
  expect(calls).toBe(0);
});

it("row 58: follows a group no longer than its record lives", async () => {
  const clock = new ManualClock();
  const tracker = new CompletionTracker(new MemoryCoordinator({ clock }));
  await tracker.register("g", ["a"], { timeoutSec: 0, ttlSec: 2, onEnd: () => {} });
  expect(clock.pending).toBe(1);
  await clock.advance(10_000);
  await settle();
  expect(await tracker.status("g")).toBeNull();
  expect(clock.pending).toBe(0);
});

it("keeps going when an event hook throws", async () => {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const onEvent = (): never => {
    throw new Error("hook");
  };
  const seen: string[] = [];
  const tracker = new CompletionTracker(coordinator, {
    onEvent,
    handlers: { publish: ({ status }) => void seen.push(status.groupId) },
  });
  for (const id of ["a", "b", "c"]) await tracker.register(id, 0, { onComplete: { handler: "publish" } });
  await clock.advance(1);
  expect(seen.sort()).toEqual(["a", "b", "c"]);
});
