import { expect } from "vitest";
import type { Coordinator } from "../../src/coordinator.js";
import type { CoordinatorEvent } from "../../src/runtime/events.js";
import { CompletionTracker } from "../../src/trackers/completion.js";

/** A coordinator, its clock, and the events of its `onEvent`. */
export interface Life {
  readonly coordinator: Coordinator;
  readonly events: readonly CoordinatorEvent[];
  readonly id: (name: string) => string;
  advance(ms: number): Promise<void>;
}

/** Registers and ends groups in every way, each step at least twice. Each change of state must be reported once. */
export async function expectEachChangeOnce({ coordinator, events, id, advance }: Life): Promise<void> {
  const tracker = new CompletionTracker(coordinator);
  const twice = async (step: () => Promise<unknown>): Promise<void> => {
    await step();
    await step();
  };
  const [acked, counted, timed] = [id("acked"), id("counted"), id("timed")];
  const [failed, gone, empty] = [id("failed"), id("gone"), id("empty")];
  await twice(() => tracker.register(acked, ["x", "y"]));
  await expect(tracker.register(acked, ["other"])).rejects.toMatchObject({ code: "conflict" });
  await twice(() => tracker.ack(acked, "x"));
  await twice(() => tracker.ack(acked, "y"));
  await twice(() => tracker.register(counted, 1));
  await twice(() => tracker.decrement(counted));
  await tracker.register(counted, 3, { restart: true });
  await twice(() => tracker.cancel(counted, "canary: the caller's own words"));
  await tracker.register(timed, 1, { timeoutSec: 60 });
  await advance(60_001);
  await twice(() => tracker.status(timed));
  await tracker.register(failed, ["x", "y"], { complete: { toleratedFailureCount: 0 } });
  await twice(() => tracker.fail(failed, "x", "canary: the error's text"));
  await tracker.register(gone, [], { open: true });
  await twice(() => tracker.remove(gone));
  await twice(() => tracker.register(empty, 0));
  const changes = events.filter(({ type }) => type === "registered" || type === "ended");
  expect(changes.map(lineOf)).toEqual([
    `registered ${acked} of 2`,
    `ended ${acked} completed all_completed 2+0 of 2`,
    `registered ${counted} of 1`,
    `ended ${counted} completed all_completed 1+0 of 1`,
    `registered ${counted} of 3`,
    `ended ${counted} cancelled cancel 0+0 of 3`,
    `registered ${timed} of 1`,
    `ended ${timed} timed_out deadline 0+0 of 1`,
    `registered ${failed} of 2`,
    `ended ${failed} failed failure_tolerance_exceeded 0+1 of 2`,
    `registered ${gone} of 0`,
    `ended ${gone} cancelled remove 0+0 of 0`,
    `registered ${empty} of 0`,
    `ended ${empty} completed all_completed 0+0 of 0`,
  ]);
  expect(JSON.stringify(changes)).not.toContain("canary");
  const generations = changes.flatMap((event) => ("generation" in event ? [event.generation] : []));
  expect(new Set(generations).size).toBeGreaterThanOrEqual(2);
  expect(changes[4]).toMatchObject({ generation: (changes[5] as { generation: number }).generation });
}

function lineOf(event: CoordinatorEvent): string {
  if (event.type === "registered") return `registered ${event.id} of ${event.total}`;
  if (event.type !== "ended") return event.type;
  const { id, state, reason, total, succeeded, failed } = event;
  return `ended ${id} ${state} ${reason} ${succeeded}+${failed} of ${total}`;
}
