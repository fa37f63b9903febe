import { expect, it } from "vitest";
import { CompletionTracker, DedupeWindow } from "../../../src/index.js";
import { reached } from "../../support/figures.js";
import { nameOf, outcomeOf, type Place } from "../faults/operation.js";
import { OPERATIONS } from "../faults/operations.js";
import { useLab } from "./support.js";

const lab = useLab();

function placeOf(c: Place["c"], id: string): Place {
  return { c, id, hook: "", hooked: () => 0, settle: async () => {}, waitMs: 0, memo: {} };
}

const keys = (): Promise<string[]> => lab.raw.keys(`${lab.keyPrefix}*`);

it("reading a record that no call has written creates no key, and neither does a call that changes nothing", async ({
  task,
}) => {
  const coordinator = lab.coordinator();
  const reads = OPERATIONS.filter((operation) => operation.reads);
  for (const operation of reads) {
    await outcomeOf(operation.run(placeOf(coordinator, "nobody")));
    expect([nameOf(operation), await keys()]).toEqual([nameOf(operation), []]);
  }
  const tracker = new CompletionTracker(coordinator);
  expect(await tracker.cancel("nobody", "")).toBeNull();
  expect(await tracker.redeliver("nobody")).toBeNull();
  expect(await tracker.decrement("nobody")).toBeNull();
  expect(await new DedupeWindow(coordinator).release("nobody")).toBe(false);
  expect(await coordinator.srem("nobody", "a")).toBe(0);
  expect(await coordinator.expire("nobody", 60)).toBe(false);
  expect(await coordinator.delete("nobody")).toBe(0);
  await coordinator.drain();
  const { length } = await keys();
  reached(task, { row: "S8", backend: "upstash", reached: `${reads.length + 8} reads of unknown ids: ${length} keys` });
  expect(length).toBe(0);
});

it("a bad token reaches no key", async () => {
  const stranger = lab.coordinator({ token: "a-token-that-nobody-knows" });
  for (const operation of OPERATIONS) {
    const outcome = await outcomeOf(operation.run(placeOf(stranger, "id")));
    expect([nameOf(operation), outcome]).toMatchObject([nameOf(operation), { error: { code: "unauthorized" } }]);
  }
  expect(await keys()).toEqual([]);
});
