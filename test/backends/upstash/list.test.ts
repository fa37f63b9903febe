import { describe, expect, it } from "vitest";
import { CommandStats } from "../../../bench/command-stats.js";
import { indexKeys, keysOf } from "../../../src/backends/upstash/keys.js";
import { CompletionTracker } from "../../../src/index.js";
import { useLab } from "./support.js";

const lab = useLab();
const PAGE = 50;

const groups = (skewMs?: number) => new CompletionTracker(coordinator(skewMs), { onEvent: () => {} });
const coordinator = (skewMs = 0) => Object.assign(lab.coordinator(), { clockSkewMs: () => skewMs });
const indexOf = (id: string): string => keysOf(lab.keyPrefix, "completion", id).index ?? "";

async function register(count: number, label = "g"): Promise<string[]> {
  const tracker = groups();
  const ids = Array.from({ length: count }, (_, i) => `${label}-${i}`);
  for (let from = 0; from < count; from += 100) {
    const some = ids.slice(from, from + 100);
    await Promise.all(some.map((id) => tracker.register(id, 1, { timeoutSec: 600 })));
  }
  return ids;
}

/** How many requests and commands a page costs. */
async function costOfPage(): Promise<{ requests: number; commands: number; items: number }> {
  const tracker = groups();
  await tracker.list({ limit: PAGE });
  const stats = new CommandStats(lab.raw);
  await stats.reset();
  lab.rest.requests.clear();
  const { items } = await tracker.list({ limit: PAGE });
  return { requests: lab.rest.requests.count(), commands: await stats.total(), items: items.length };
}

/** Returns the size of all shards of the index, with two entries for each group. */
async function entries(): Promise<number> {
  const sizes = await Promise.all(indexKeys(lab.keyPrefix, "completion").map((key) => lab.raw.zcard(key)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe("a page of a list on Redis", () => {
  it("costs two requests, however many groups there are", async () => {
    await register(PAGE);
    const few = await costOfPage();
    await register(400, "more");
    const many = await costOfPage();
    // Each shard: the script, TIME, and a read for each of four lists. Each item: the script, TIME, and its record.
    const commands = 64 * 6 + PAGE * 3;
    expect(few).toEqual({ requests: 2, commands, items: PAGE });
    expect(many).toEqual({ requests: 2, commands, items: PAGE });
  });

  it("asks a shard again whose lines it used up", async () => {
    const shard = indexOf("g-0");
    const ids = Array.from({ length: 1_500 }, (_, i) => `g-${i}`).filter((id) => indexOf(id) === shard);
    const tracker = groups();
    for (const id of ids) await tracker.register(id, 1, { timeoutSec: 600 });
    expect(ids.length).toBeGreaterThan(10);
    lab.rest.requests.clear();
    const { items, next } = await tracker.list();
    expect([items.map(({ groupId }) => groupId), next]).toEqual([ids, null]);
    expect(lab.rest.requests.count()).toBe(3);
  });

  it("leaves out a group whose record is gone, and removes its line", async () => {
    const [gone = "", left = ""] = await register(2);
    await lab.raw.del(keysOf(lab.keyPrefix, "completion", gone).record);
    const { items } = await groups().list();
    expect(items.map(({ groupId }) => groupId)).toEqual([left]);
    expect(await lab.raw.zrange(indexOf(gone), 0, -1)).not.toContain(`completion:${gone}`);
    await groups().register(gone, 1, { timeoutSec: 600 });
    expect((await groups().list()).items).toHaveLength(2);
  });

  it("lists a group that an earlier version stored from its next change on", async () => {
    await groups().register("old", ["a", "b"], { timeoutSec: 600 });
    const { record } = keysOf(lab.keyPrefix, "completion", "old");
    const { line: _, ...envelope } = JSON.parse((await lab.raw.hget(record, "h")) ?? "{}");
    await lab.raw.hset(record, "h", JSON.stringify(envelope));
    await lab.raw.del(indexOf("old"));
    expect((await groups().list()).items).toEqual([]);
    await groups().ack("old", "a");
    expect((await groups().list()).items).toMatchObject([{ groupId: "old", succeeded: 1 }]);
  });

  it("corrects the line of a group that an earlier version ended", async () => {
    await groups().register("old", 1, { timeoutSec: 600 });
    const { record, index = "" } = keysOf(lab.keyPrefix, "completion", "old");
    const score = await lab.raw.zscore(index, "completion:old");
    await groups().cancel("old", "enough");
    await lab.raw.zadd(index, score ?? "", "completion:old");
    expect((await groups().list()).items).toEqual([]);
    expect((await groups().list({ state: "ended" })).items).toMatchObject([{ groupId: "old", state: "cancelled" }]);
    expect(await lab.raw.exists(record)).toBe(1);
  });
});

describe("the index on Redis", () => {
  it("removes lines of expired groups when others are registered, and expires with its last group", async () => {
    const short = new CompletionTracker(coordinator(), { ttlSec: 0.05 });
    const ids = Array.from({ length: 4_000 }, (_, i) => `x-${i}`).filter((id) => indexOf(id) === indexOf("x-0"));
    for (const id of ids.slice(0, 20)) await short.register(id, 0);
    await expect.poll(() => lab.raw.exists(keysOf(lab.keyPrefix, "completion", ids[19] ?? "").record)).toBe(0);
    // Of a key that no one writes any more, nothing is left.
    await expect.poll(() => lab.raw.exists(indexOf("x-0"))).toBe(0);
    await groups().register("keeper", 1, { timeoutSec: 600 });
    for (const id of ids.slice(20, 40)) await short.register(id, 0);
    expect(await lab.raw.pttl(indexOf("keeper"))).toBeGreaterThan(600_000);
    expect(await entries()).toBeLessThanOrEqual(2 * 21);
  });

  it("holds two entries a group, whatever happens to it", async () => {
    const tracker = groups();
    await register(10);
    for (let i = 0; i < 10; i++) await tracker.ack(`g-${i}`, "a");
    for (let i = 0; i < 5; i++) await tracker.register(`g-${i}`, 2, { restart: true, timeoutSec: 600 });
    expect(await entries()).toBe(20);
    await tracker.remove("g-0");
    await tracker.remove("g-9");
    expect(await entries()).toBe(16);
  });

  it("is not written by an ack that ends nothing", async () => {
    const tracker = groups();
    await tracker.register("g", ["a", "b", "c"], { timeoutSec: 600 });
    await lab.raw.del(indexOf("g"));
    await tracker.ack("g", "a");
    expect(await lab.raw.exists(indexOf("g"))).toBe(0);
    await tracker.ack("g", ["b", "c"]);
    expect((await tracker.list({ state: "completed" })).items).toHaveLength(1);
  });
});
