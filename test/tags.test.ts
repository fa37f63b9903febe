import { describe, expect, it } from "vitest";
import { placeOf, recordName, SHARDS, shardOf, tagOf } from "../src/runtime/placement.js";
import { seededRandom } from "../src/testing/index.js";

const MACHINES = ["kv", "completion", "stats"];
const PIECES = ["a", "b", "{", "}", ":", "|", "\u0000", "kv", "completion", "{}", "é", "🙂", "__proto__", " "];

describe("tags", () => {
  it.each([
    ["plain", "plain"],
    ["{a}b", "a"],
    ["x{a}b{c}", "a"],
    ["{}a", "{}a"],
    ["{a", "{a"],
    ["}{", "}{"],
    ["}a{b}", "b"],
    ["{{a}}", "{a"],
    ["", ""],
  ])("of %j is %j, by the rule of Redis Cluster", (key, tag) => {
    expect(tagOf(key)).toBe(tag);
  });

  it("names records injectively: 100,000 random pairs", () => {
    const random = seededRandom(1);
    const below = (n: number) => Math.floor(random() * n);
    const text = () => Array.from({ length: 1 + below(4) }, () => PIECES[below(PIECES.length)]).join("");
    const machine = () => MACHINES[below(MACHINES.length)] ?? "";
    let different = 0;
    for (let i = 0; i < 100_000; i++) {
      const [left, right] = [
        [machine(), text()],
        [machine(), text()],
      ] as const;
      const isSame = left[0] === right[0] && left[1] === right[1];
      expect(recordName(...left) === recordName(...right)).toBe(isSame);
      if (!isSame && left[0] !== "kv") expect(placeOf(...left)).not.toBe(placeOf(...right));
      if (!isSame) different++;
    }
    expect(different).toBeGreaterThan(95_000);
  });

  it("puts raw keys of one tag in one place, and groups each in its own", () => {
    expect(placeOf("kv", "{t}a")).toBe(placeOf("kv", "b{t}"));
    expect(placeOf("kv", "a")).not.toBe(placeOf("kv", "b"));
    expect(placeOf("completion", "{t}a")).not.toBe(placeOf("completion", "{t}b"));
    expect(placeOf("completion", "a")).not.toBe(placeOf("kv", "a"));
  });

  it("spreads places evenly over all shards", () => {
    const counts = new Array<number>(SHARDS).fill(0);
    for (let i = 0; i < 64_000; i++) {
      const shard = shardOf(placeOf("completion", `group-${i}`));
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(500);
    expect(Math.max(...counts)).toBeLessThan(2_000);
  });

  it("keeps a place's shard for ever: what is stored would be lost otherwise", () => {
    expect([shardOf("{kv}a"), shardOf("{completion}group-1"), shardOf("{completion}é")]).toEqual([
      shardOf("{kv}a", 64),
      shardOf("{completion}group-1", 64),
      shardOf("{completion}é", 64),
    ]);
    expect(shardOf("")).toBe(0x811c9dc5 % 64);
  });
});
