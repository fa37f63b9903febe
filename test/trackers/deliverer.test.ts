import { expect, it } from "vitest";
import { CompletionTracker, CoordinationError, MemoryCoordinator } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";

it("tells of an attempt through an outage of the backend, so that it is not made again", async () => {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const run = coordinator.run.bind(coordinator);
  let refused = 0;
  coordinator.run = (transition, id, input, options) => {
    if (transition === "completion.settle" && refused++ < 2) {
      return Promise.reject(new CoordinationError("backend_unavailable", "away", { retryable: true }));
    }
    return run(transition, id, input, options);
  };
  const attempts: number[] = [];
  const settled = new Promise<string>((resolve) => {
    const tracker = new CompletionTracker(coordinator, {
      handlers: { publish: ({ attempt }) => void attempts.push(attempt) },
      onEvent: (event) => event.type === "delivery" && resolve(event.outcome),
    });
    void tracker.register("g", 0, { onComplete: { handler: "publish" } });
  });
  await clock.advance(1);
  expect(await settled).toBe("delivered");
  expect([refused, attempts]).toEqual([3, [1]]);
});

it("leaves deliveries to others once the tracker is closed", async () => {
  const clock = new ManualClock();
  const coordinator = new MemoryCoordinator({ clock });
  const seen: string[] = [];
  const handlers = (name: string) => ({ publish: () => void seen.push(name) });
  const first = new CompletionTracker(coordinator, { handlers: handlers("first") });
  const second = new CompletionTracker(coordinator, { handlers: handlers("second") });
  first.close();
  await first.register("g", 0, { onComplete: { handler: "publish" } });
  await clock.advance(1);
  expect(seen).toEqual(["second"]);
  expect(await second.status("g")).toMatchObject({ delivery: { state: "delivered" } });
});
