import { describe, expect, it } from "vitest";
import type { TransitionName } from "../../src/core/registry.js";
import {
  CoalesceTracker,
  CoordinationError,
  type CoordinatorEvent,
  DedupeWindow,
  MemoryCoordinator,
} from "../../src/index.js";

/** A coordinator on which one step fails. */
function failing(step: TransitionName): MemoryCoordinator {
  const coordinator = new MemoryCoordinator();
  const run = coordinator.run.bind(coordinator);
  coordinator.run = (transition, id, input, options) =>
    transition === step
      ? Promise.reject(new CoordinationError("backend_unavailable", "away", { retryable: true }))
      : run(transition, id, input, options);
  return coordinator;
}

describe("a last step that fails reports the caller's key", () => {
  const long = "invoice-".repeat(20);

  it.each([
    ["short", "short"],
    [long, long],
    [["account-1", long], JSON.stringify(["account-1", long])],
  ])("of a run: %j", async (key, id) => {
    const events: CoordinatorEvent[] = [];
    const window = new DedupeWindow(failing("dedupe.fail"), { onEvent: (event) => events.push(event) });
    const fault = new Error("the work failed");
    await expect(window.run(key, () => Promise.reject(fault))).rejects.toBe(fault);
    expect(events).toMatchObject([{ type: "followup_failed", transition: "dedupe.fail", id }]);
  });

  it.each(["short", long])("of a version: %j", async (key) => {
    const events: CoordinatorEvent[] = [];
    const versions = new CoalesceTracker(failing("coalesce.seen"), { onEvent: (event) => events.push(event) });
    expect(await versions.supersede(key, () => {})).toBeGreaterThan(0);
    expect(events).toMatchObject([{ type: "followup_failed", transition: "coalesce.seen", id: key }]);
  });
});
