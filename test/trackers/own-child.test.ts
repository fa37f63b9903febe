import { describe, expect, it } from "vitest";
import { CompletionTracker, MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";

const groups = () => new CompletionTracker(new MemoryCoordinator());
const requests = () => new RequestWaitTracker(new MemoryCoordinator(), { stages: ["s"] });
const refused = { code: "invalid_input" };

describe("a group that would wait for itself is refused", () => {
  const own = { id: "a", group: "x" };
  it.each<[string, (tracker: CompletionTracker) => Promise<unknown>]>([
    ["as its own child at the registration", (tracker) => tracker.register("x", [own])],
    ["as its own child by add", (tracker) => tracker.add("x", own)],
    ["as its own child by next", (tracker) => tracker.ack("x", "b", { next: [own] })],
    ["as its own parent", (tracker) => tracker.register("x", ["a"], { parent: { groupId: "x", taskId: "a" } })],
  ])("%s", async (_, call) => {
    await expect(call(groups())).rejects.toMatchObject(refused);
  });

  it.each<[string, (tracker: RequestWaitTracker<"s">) => Promise<unknown>]>([
    ["by add", (tracker) => tracker.add("x", "s", { id: "a", group: { requestId: "x" } })],
    [
      "by next",
      (tracker) =>
        tracker.ack("x", "s", "b", { next: [{ stage: "s", taskIds: { id: "a", group: { requestId: "x" } } }] }),
    ],
  ])("a request as its own child %s", async (_, call) => {
    await expect(call(requests())).rejects.toMatchObject(refused);
  });

  it("but a request and a group of one id are two records", async () => {
    const tracker = groups();
    const { total } = await tracker.register("x", [{ id: "a", group: { requestId: "x" } }]);
    expect(total).toBe(1);
  });
});
