import { describe, expect, it } from "vitest";
import { CommandStats } from "../../bench/command-stats.js";
import type { UpstashCoordinator } from "../../src/backends/upstash/index.js";
import { placeOf, shardOf } from "../../src/runtime/placement.js";
import { TOKEN, useLab } from "../backends/upstash/support.js";

const lab = useLab();
const KB = 1_024;

/** A coordinator whose requests and read bytes are counted. */
function counted(traffic: { requests: number; bytes: number }): UpstashCoordinator {
  return lab.coordinator({
    url: lab.rest.url,
    token: TOKEN,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      const text = await response.text();
      traffic.requests++;
      traffic.bytes += text.length;
      return new Response(text, response);
    },
  });
}

/** Lines of groups that are gone: a drain wakes them like any other. */
async function addLines(count: number, atMs: number): Promise<void> {
  const byKey = new Map<string, (string | number)[]>();
  for (let i = 0; i < count; i++) {
    const id = `document-0195e7c1-${i}`;
    const key = `${lab.keyPrefix}{${shardOf(placeOf("completion", id))}}:due`;
    byKey.set(key, [...(byKey.get(key) ?? []), atMs + i, `completion:${id}`]);
  }
  for (const [key, lines] of byKey) await lab.raw.zadd(key, ...lines);
}

describe("a drain on Redis", () => {
  it.each([6_500, 100_000])("row 46: that finds nothing among %i open groups reads some KB", async (open) => {
    await addLines(open, Date.now() + 3_600_000);
    const [traffic, stats] = [{ requests: 0, bytes: 0 }, new CommandStats(lab.raw)];
    const coordinator = counted(traffic);
    await stats.reset();
    expect(await coordinator.drain()).toMatchObject({ woken: 0, left: false });
    expect([traffic.requests, await stats.total()]).toEqual([1, 65]);
    expect(traffic.bytes).toBeLessThan(12 * KB);
  });

  it.each([1, 8])(
    "row 46: reads as much as is due, and wakes each record once, with %i at a time",
    async (drainers) => {
      const due = 5_000;
      await addLines(due, Date.now() - 60_000);
      const traffic = { requests: 0, bytes: 0 };
      const woken = Array.from({ length: drainers }, async () => {
        const coordinator = counted(traffic);
        let sum = 0;
        for (let left = true; left; ) {
          const report = await coordinator.drain({ limit: 100, budgetMs: 600_000 });
          sum += report.woken;
          left = report.left;
        }
        return sum;
      });
      expect((await Promise.all(woken)).reduce((sum, one) => sum + one, 0)).toBe(due);
      // A request for the heads, one for the lines and some for the records; drains that come too late find nothing.
      expect(traffic.requests / due).toBeLessThan(0.2);
      expect(traffic.bytes / due).toBeLessThan(0.5 * KB);
    },
  );
});
