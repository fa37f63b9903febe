import { describe, expect, it } from "vitest";
import { Random } from "../../dev/random.js";
import { LineIndex, type MemoryLine } from "../../src/backends/memory/line-index.js";
import { CompletionTracker, MemoryCoordinator } from "../../src/index.js";
import { compareBytes, compareLines, type ListPosition, type ListQuery } from "../../src/runtime/listing.js";

const LISTS = [0, 1, 4];
const QUERY: ListQuery = { machine: "completion", lists: LISTS, order: "oldest", olderThanMs: 0, limit: 3 };
const IDS = ["a", "b", "é", "\u{1f642}", "\uff5e", "a.b", "z"];

describe("compareBytes", () => {
  it("orders texts as their UTF-8", () => {
    const encoder = new TextEncoder();
    const texts = [...IDS, "", "aa", "\ud7ff", "\ue000", "\u{10000}", "a\u{1f642}", "a\uff5e"];
    for (const a of texts) {
      for (const b of texts) {
        const bytes = Buffer.compare(encoder.encode(a), encoder.encode(b));
        expect(Math.sign(compareBytes(a, b)), `${a} and ${b}`).toBe(bytes);
      }
    }
  });
});

describe("the index in memory", () => {
  it("returns the pages of a sorted list, whatever is added and removed between them", () => {
    const random = new Random(7);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] as T;
    for (let run = 0; run < 60; run++) {
      const index = new LineIndex();
      const alive = new Map<string, MemoryLine>();
      const change = (): void => {
        const id = `${pick(IDS)}${Math.floor(random.next() * 12)}`;
        const before = alive.get(id);
        if (before !== undefined) index.remove("completion", before);
        alive.delete(id);
        if (random.next() < 0.3) return;
        alive.set(id, index.add("completion", id, { list: pick(LISTS), atMs: 1 + Math.floor(random.next() * 9) }));
      };
      for (let i = 0; i < 200; i++) change();
      const order = pick(["oldest", "newest"] as const);
      const maxAtMs = pick([5, 10]);
      const lists = pick([LISTS, [4], [0, 1]]);
      let after: ListPosition | undefined;
      for (let page = 0; page < 200; page++) {
        const expected = [...alive.values()]
          .filter((line) => lists.includes(line.list) && line.atMs <= maxAtMs)
          .filter((line) => after === undefined || compareLines(line, after, order) > 0)
          .sort((a, b) => compareLines(a, b, order));
        const { lines, isCut } = index.page({ ...QUERY, lists, order, after }, maxAtMs);
        expect(lines.map(({ id }) => id)).toEqual(expected.slice(0, QUERY.limit).map(({ id }) => id));
        expect(isCut).toBe(expected.length > QUERY.limit);
        after = lines.at(-1);
        if (!isCut) break;
        change();
      }
    }
  });

  it("forgets the lines of records that are gone", async () => {
    let nowMs = Date.now();
    const clock = { now: () => nowMs, setTimer: () => () => {} };
    const tracker = new CompletionTracker(new MemoryCoordinator({ clock }), { ttlSec: 1 });
    for (let i = 0; i < 300; i++) {
      nowMs += 100;
      await tracker.register(`g-${i}`, 0);
    }
    const { items, next } = await tracker.list({ state: "ended" });
    expect([items.length, next]).toEqual([10, null]);
    expect(items[0]?.groupId).toBe("g-299");
  });
});
