import { describe, expect, it } from "vitest";
import { bytesOf, RecordText } from "../../src/backends/custom/record.js";
import type { Changes } from "../../src/core/store.js";
import { seededRandom } from "../../src/testing/index.js";

const NAMES = [
  "t:a",
  "t:ab",
  "a",
  "",
  "__proto__",
  'q"uote',
  "tab\tbed",
  "line\nbreak",
  "\u2028",
  "é🙂",
  "back\\slash",
  '\n"t:a"\t"x"',
  "\\n",
];
const VALUES = ["", "x", '\n"t:a"\t"forged"', "é\u0000🙂", '{"a":[1]}', "\t\n\\"];

const changes = (more: Partial<Changes>): Changes => ({
  dirty: true,
  cleared: false,
  head: undefined,
  names: [],
  values: [],
  untilMs: undefined,
  untilChanged: false,
  wakeAtMs: undefined,
  wakeChanged: false,
  line: undefined,
  lineChanged: false,
  notified: false,
  topics: [],
  events: [],
  ...more,
});

const written = (record: RecordText): string => record.write("stamp") ?? "";

describe("a record's text", () => {
  it("agrees with a map of members, whatever their names and values hold", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seededRandom(seed);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      // Some runs read more members than are searched for one by one.
      const names = seed % 4 === 0 ? Array.from({ length: 150 }, (_, i) => `t:${i}`) : NAMES;
      let record = RecordText.none();
      let [head, members]: [string | undefined, Map<string, string>] = [undefined, new Map()];
      for (let step = 0; step < 40; step++) {
        const some = Array.from({ length: Math.floor(random() * 12) }, () => pick(names));
        const change = changes({
          cleared: random() < 0.05,
          head: head === undefined || random() < 0.5 ? `{"step":${step}}` : undefined,
          names: [...new Set(some)],
          values: some.map(() => (random() < 0.3 ? false : pick(VALUES))),
        });
        record.apply(change);
        if (change.cleared) [head, members] = [undefined, new Map()];
        head = change.head ?? head;
        for (const [i, name] of change.names.entries()) {
          const value = change.values[i];
          if (typeof value === "string") members.set(name, value);
          else members.delete(name);
        }
        if (random() < 0.5 && head !== undefined) record = RecordText.parse(written(record));
        expect(record.rows.readHead()).toBe(head);
        for (const name of [...some, "none"]) {
          expect([seed, step, name, record.rows.read([name])]).toEqual([
            seed,
            step,
            name,
            [members.get(name) ?? false],
          ]);
        }
        expect(record.rows.read(names)).toEqual(names.map((name) => members.get(name) ?? false));
        const sorted = (map: ReadonlyMap<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
        expect(sorted(record.members())).toEqual(sorted(members));
      }
    }
  });

  it("is none when nothing is left", () => {
    const record = RecordText.none();
    expect(record.write("stamp")).toBeUndefined();
    record.apply(changes({ head: "{}", names: ["a"], values: ["1"] }));
    record.apply(changes({ cleared: true }));
    expect(record.write("stamp")).toBeUndefined();
    record.apply(changes({ head: "{}", names: ["b"], values: ["2"] }));
    expect([...RecordText.parse(written(record)).members()]).toEqual([["b", "2"]]);
  });

  it("knows how long it will be: never too short, and by a header's length too long at most", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seededRandom(seed);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
      const record = RecordText.none();
      let bytes = 0;
      for (let step = 0; step < 20; step++) {
        const some = [...new Set(Array.from({ length: 4 }, () => pick(NAMES)))];
        const change = changes({
          cleared: random() < 0.1,
          head: step === 0 || random() < 0.6 ? `{"é":"${"x".repeat(Math.floor(random() * 50))}"}` : undefined,
          names: some,
          values: some.map(() => (random() < 0.3 ? false : pick(VALUES))),
        });
        if (change.cleared && change.head === undefined) continue;
        bytes = record.bytesAfter(bytes, change);
        record.apply(change);
        const real = bytesOf(record.write("0".repeat(32)) ?? "");
        expect(bytes).toBeGreaterThanOrEqual(real);
        expect(bytes).toBeLessThan(real + 60);
      }
    }
  });
});
