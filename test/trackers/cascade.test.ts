import { expect, it } from "vitest";
import { CompletionTracker, MemoryCoordinator } from "../../src/index.js";
import { ManualClock, settle } from "../../src/testing/index.js";

const CHILDREN = 250;

it("a cascade that is longer than an attempt goes on where it stopped, and its attempts are no retries", async () => {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const run = coordinator.run.bind(coordinator);
  const rests: unknown[] = [];
  coordinator.run = (transition, id, input, options) => {
    if (transition === "completion.settle" && Object.hasOwn(Object(input), "rest")) rests.push(Object(input).rest);
    return run(transition, id, input, options);
  };
  const groups = new CompletionTracker(coordinator, { handlers: { none: () => {} }, attemptTimeoutSec: 0.001 });
  const ids = Array.from({ length: CHILDREN }, (_, i) => `child-${i}`);
  const { generation } = await groups.register(
    "parent",
    ids.map((id) => ({ id, group: id })),
  );
  for (const id of ids) await groups.register(id, ["a"], { parent: { groupId: "parent", taskId: id, generation } });
  await groups.cancel("parent", "not wanted");
  for (let i = 0; i < 200; i++) {
    await clock.advance(10);
    await settle();
  }
  const states = await Promise.all(ids.map(async (id) => (await groups.status(id))?.state));
  expect(new Set(states)).toEqual(new Set(["cancelled"]));
  expect(rests.length).toBeGreaterThanOrEqual(2);
});
