import { describe, expect, it } from "vitest";
import { CompletionTracker, MemoryCoordinator } from "../../src/index.js";

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

describe("allResults", () => {
  it("gives the results of all pages in their order, from a position on", async () => {
    const tracker = new CompletionTracker(new MemoryCoordinator());
    await tracker.register("g", 5);
    const tasks = ["a", "b", "c", "d", "e"].map((id, result) => ({ id, result }));
    await tracker.ack("g", tasks);
    const all = async (options: { limit: number; after?: number }) =>
      (await listOf(tracker.allResults("g", options))).map(({ taskId }) => taskId).join("");
    expect(await all({ limit: 2 })).toBe("abcde");
    expect(await all({ limit: 5 })).toBe("abcde");
    expect(await all({ limit: 2, after: 3 })).toBe("de");
    expect(await listOf(tracker.allResults("nobody"))).toEqual([]);
    expect(await listOf(tracker.allResults("g"))).toMatchObject([{ taskId: "a", result: 0 }, {}, {}, {}, {}]);
  });

  it("ends by its signal", async () => {
    const tracker = new CompletionTracker(new MemoryCoordinator());
    const reason = new Error("gone");
    const first = tracker.allResults("g", { signal: AbortSignal.abort(reason) }).next();
    await expect(first).rejects.toBe(reason);
  });
});

describe("the options of a tracker", () => {
  it("has defaults for what a retry policy leaves out, and refuses what it does not know", () => {
    const made = (retry: object) =>
      new CompletionTracker(new MemoryCoordinator(), { handlers: { h: () => {} }, retry });
    expect(() => made({ maxAttempts: 5 })).not.toThrow();
    expect(() => made({ baseDelayMs: 1_000_000 })).not.toThrow();
    expect(() => made({ attempts: 5 })).toThrow(/^retry has an unknown field: attempts; did you mean maxAttempts\?$/);
  });
});
