import { describe, expect, it } from "vitest";
import { CompletionTracker, type CoordinatorEvent, MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";

function lab() {
  const clock = new ManualClock();
  return { clock, coordinator: new MemoryCoordinator({ clock }) };
}

describe("the targets of one registration", () => {
  const invalid = expect.objectContaining({ code: "invalid_input", message: expect.stringMatching(/plain functions/) });
  const durable = [{ url: "https://hooks.example/" }, { task: { groupId: "p", taskId: "g" } }, { handler: "done" }];

  it.each(durable)("are not plain and durable at once: %j", async (target) => {
    const tracker = new CompletionTracker(lab().coordinator, { handlers: { done: () => {} } });
    const mixed = tracker.register("g", ["a"], { onSuccess: () => {}, onEnd: target as { url: string } });
    await expect(mixed).rejects.toEqual(invalid);
    expect(await tracker.status("g")).toBeNull();
  });

  it("of a request are durable", async () => {
    const requests = new RequestWaitTracker(lab().coordinator, { stages: ["s"] });
    await expect(requests.register("r", { onEnd: () => {} })).rejects.toEqual(invalid);
    expect(await requests.status("r")).toBeNull();
  });
});

describe("an event of a delivery", () => {
  it("names the machine, so that a group and a request of one id are told apart", async () => {
    const { clock, coordinator } = lab();
    const events: CoordinatorEvent[] = [];
    const options = { handlers: { done: () => {} }, onEvent: (event: CoordinatorEvent) => void events.push(event) };
    const requests = new RequestWaitTracker(coordinator, { stages: ["s"], ...options });
    await requests.register("same", { onEnd: { handler: "done" } });
    await requests.seal("same");
    await new CompletionTracker(coordinator).register("same", [], { onEnd: { handler: "done" } });
    await clock.advance(1);
    const machines = events.map((event) => event.type === "delivery" && [event.machine, event.id, event.outcome]);
    expect(machines.sort()).toEqual([
      ["completion", "same", "delivered"],
      ["request", "same", "delivered"],
    ]);
  });
});
