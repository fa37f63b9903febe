import { describe, expect, it } from "vitest";
import { CommandStats } from "../../bench/command-stats.js";
import { CompletionTracker } from "../../src/index.js";
import { useLab } from "../backends/upstash/support.js";

const lab = useLab();

describe("decrements of one group, on Redis", () => {
  it("leave a key of one size, and take the same commands each, however many there were", async () => {
    const groups = new CompletionTracker(lab.coordinator());
    await groups.register("g", 100_000);
    const decrements = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 500) {
        await Promise.all(Array.from({ length: 500 }, () => groups.decrement("g")));
      }
    };
    const sizeOf = async (): Promise<{ fields: number; bytes: number }> => {
      const [key = ""] = await lab.raw.keys(`${lab.keyPrefix}*:completion:g`);
      const bytes = (await lab.raw.memory("USAGE", key, "SAMPLES", 0)) ?? 0;
      return { fields: await lab.raw.hlen(key), bytes };
    };
    // The last thousand calls are remembered, by two fields each.
    await decrements(2_000);
    const before = await sizeOf();
    expect(before.fields).toBeLessThan(2_012);
    const stats = new CommandStats(lab.raw);
    await stats.reset();
    await decrements(2_000);
    expect((await stats.total()) / 2_000).toBeLessThanOrEqual(7);
    const after = await sizeOf();
    expect(after.fields).toBe(before.fields);
    expect(after.bytes).toBeLessThan(before.bytes * 1.1);
  });
});
