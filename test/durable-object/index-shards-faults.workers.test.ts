import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shardOfLine } from "../../src/backends/durable-object/object/shard-map.js";
import type { LineRow, ObjectMethods } from "../../src/backends/durable-object/protocol.js";
import { TestIndex } from "../support/index-shards.js";
import { bench, inside, resetAll, tablesOf } from "../support/test-worker.js";

const HOUR_MS = 3_600_000;
const DOWN = { code: "backend_unavailable", retryable: true };
let tests = 0;

beforeAll(() => {
  bench.frozenAtMs = Date.now() + HOUR_MS;
  bench.isIndexed = true;
});
afterAll(resetAll);

const methodsOf = (index: TestIndex, shard: number) => index.shard(shard) as unknown as ObjectMethods;

/** Returns an id whose line belongs to the shard. */
function idIn(shard: number, count: number): string {
  for (let i = 0; ; i++) if (shardOfLine(`completion:in-${i}`, count) === shard) return `in-${i}`;
}

/** An index of `2 ** doublings` shards, with these records. */
async function settled(doublings: number, ids: readonly string[]): Promise<TestIndex> {
  const index = new TestIndex(`faults-${tests++}:`);
  for (const id of ids) await index.tell(id, 0);
  for (let i = 0; i < doublings; i++) {
    await index.grow();
    await index.finish();
  }
  return index;
}

describe("the shards of an index", () => {
  it("leave no line out of a page when some of them have ended", async () => {
    const [ended, held] = [idIn(1, 4), idIn(3, 4)];
    const index = await settled(2, [held]);
    await inside(index.shard(1), (_, { storage: { sql } }) => {
      sql.exec("DELETE FROM lines WHERE name > ':shard'");
    });
    await methodsOf(index, 1).indexShard({ kind: "close" });
    expect(await tablesOf(index.shard(1))).toEqual([]);
    // No call has met it yet.
    await expect(index.page()).rejects.toThrow("backend_unavailable");
    await expect(index.tell(ended, 0)).rejects.toMatchObject(DOWN);
    await expect(index.page()).rejects.toThrow("backend_unavailable");
    await expect(index.counts()).rejects.toThrow("backend_unavailable");
    await index.finish();
    await index.expectExact();
  });

  it("come back after a page has found that one of them has ended", async () => {
    const index = await settled(1, [idIn(0, 2)]);
    await inside(index.shard(1), (_, { storage: { sql } }) => {
      sql.exec("DELETE FROM lines WHERE name > ':shard'");
    });
    await methodsOf(index, 1).indexShard({ kind: "close" });
    await expect(index.page()).rejects.toThrow("backend_unavailable");
    await index.finish();
    await index.expectExact();
  });

  it("take no lines late, and none of another shard", async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `g-${i}`);
    const index = await settled(0, ids);
    const late = await inside(index.shard(0), (_, { storage: { sql } }) => {
      const rows = sql.exec("SELECT * FROM lines WHERE name > ':shard'").toArray() as unknown as LineRow[];
      return rows.filter(({ name }) => shardOfLine(name, 2) === 1);
    });
    await index.grow();
    await index.finish();
    await index.grow();
    await index.finish();
    // A shard that refused them must not have the sender remove them.
    const take = await methodsOf(index, 1).indexShard({ kind: "take", lines: late, isLast: false });
    expect(take).toMatchObject({ ok: false, ...DOWN });
    await index.expectExact();
    // The answer to the last call was lost.
    expect(await methodsOf(index, 1).indexShard({ kind: "take", lines: [], isLast: true })).toMatchObject({ ok: true });
    await methodsOf(index, 5).indexShard({
      kind: "begin",
      keyPrefix: index.keyPrefix,
      number: 5,
      count: 8,
      isReceiving: true,
    });
    await methodsOf(index, 5).indexShard({ kind: "take", lines: late, isLast: false });
    const held = await inside(index.shard(5), (_, { storage: { sql } }) =>
      sql.exec<{ name: string }>("SELECT name FROM lines WHERE name > ':shard'").toArray(),
    );
    expect(held.filter(({ name }) => shardOfLine(name, 8) !== 5)).toEqual([]);
  });

  it("do not end while lines are on their way to them", async () => {
    const index = await settled(
      0,
      Array.from({ length: 20 }, (_, i) => `g-${i}`),
    );
    await index.grow();
    let takes = 0;
    await index.intercept(0, async (call, kind) => {
      if (kind === "take" && takes++ === 0) await methodsOf(index, 1).indexShard({ kind: "close" });
      return call();
    });
    expect(await index.finish()).toBe(2);
    expect(takes).toBeGreaterThan(0);
    await index.expectExact();
  });
});
