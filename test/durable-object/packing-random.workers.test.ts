import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { SqliteRecords } from "../../src/backends/durable-object/object/records.js";
import type { Changes, Rows, Store } from "../../src/core/store.js";
import { openDraft } from "../../src/core/transaction.js";
import { seededRandom } from "../../src/testing/index.js";
import { packedOf, rowsOf, storedMembers } from "../support/stored-members.js";
import { inside, resetAll } from "../support/test-worker.js";

afterEach(resetAll);

const RECORD = "kv:r";
/** So small that the record spills often. */
const ROW_CHARS = 3_000;
const STEPS = 1_500;
/** The tables are read after each so many steps. */
const LOOK_EVERY = 4;
const NAMES = [...Array.from({ length: 250 }, (_, i) => `t:${i}`), "", "__proto__", 'q"', "a\nb\tc", "é🙂"];
const STARTS = ['{"a":"b"}', "", "\u0000é\n", '\n"t:1"\t"x"'];

/** One transition: reads, perhaps clears, then writes. */
interface Step {
  readonly n: number;
  readonly nowMs: number;
  readonly asked: readonly string[];
  readonly clears: "no" | "for good" | "and begins anew";
  readonly putsHead: boolean;
  readonly untilMs: number | undefined;
  readonly writes: readonly (readonly [name: string, value: string | undefined])[];
  /** Whether the object removes what has expired, before the step. */
  readonly sweeps: boolean;
}

function* randomSteps(seed: number): Iterable<Step> {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const oneOf = (list: readonly string[]): string => list[below(list.length)] ?? "";
  const value = () => oneOf(STARTS) + "x".repeat(below(random() < 0.1 ? 400 : 30));
  let nowMs = 0;
  for (let n = 0; n < STEPS; n++) {
    nowMs += below(100);
    yield {
      n,
      nowMs,
      asked: random() < 0.05 ? NAMES : [oneOf(NAMES), oneOf(NAMES)],
      clears: random() < 0.985 ? "no" : random() < 0.5 ? "for good" : "and begins anew",
      putsHead: random() < 0.5,
      untilMs: random() < 0.1 ? nowMs + 2_000 + below(10_000) : undefined,
      writes: Array.from({ length: below(10) }, () => [oneOf(NAMES), random() < 0.2 ? undefined : value()]),
      sweeps: random() < 0.02,
    };
  }
}

/** Returns what the step read, before and after its writes. */
function take({ n, asked, clears, putsHead, untilMs, writes }: Step, store: Store): unknown[] {
  const read = () => asked.map((name) => store.get(name));
  const before = [store.head(), read()];
  if (clears !== "no") store.clear();
  if (clears === "for good") return before;
  const isNew = store.head() === undefined;
  if (isNew || putsHead) store.put({ n });
  if (isNew || untilMs !== undefined) store.keepUntil(untilMs);
  for (const [name, value] of writes) {
    if (value === undefined) store.remove(name);
    else store.set(name, value);
  }
  return [before, store.head(), read()];
}

interface RecordStore extends Rows {
  commit(changes: Changes): void;
}

/** Runs the step as a transition on the record. */
function run(step: Step, record: RecordStore): unknown[] {
  const draft = openDraft(record, step.nowMs);
  const answers = take(step, draft.store);
  const changes = draft.changes();
  if (changes.dirty) record.commit(changes);
  return answers;
}

/** A record in a plain map. */
class PlainRecord implements RecordStore {
  head: string | undefined;
  readonly members = new Map<string, string>();

  readHead(): string | undefined {
    return this.head;
  }

  read(names: readonly string[]): (string | false)[] {
    return names.map((name) => this.members.get(name) ?? false);
  }

  commit({ cleared, head, names, values }: Changes): void {
    if (cleared) this.members.clear();
    this.head = cleared ? head : (head ?? this.head);
    for (const [i, name] of names.entries()) {
      const value = values[i];
      if (typeof value === "string") this.members.set(name, value);
      else this.members.delete(name);
    }
  }
}

/** What the tables hold of the record. */
function stateOf(sql: SqlStorage): {
  readonly how: "none" | "packed" | "with rows" | "spilled";
  members: Map<string, string>;
} {
  const isThere = sql.exec("SELECT 1 FROM records WHERE name = ?", RECORD).toArray().length > 0;
  if (!isThere) return { how: "none", members: new Map(rowsOf(sql, RECORD)) };
  const members = storedMembers(sql, RECORD);
  if (packedOf(sql, RECORD) === null) return { how: "spilled", members };
  return { how: rowsOf(sql, RECORD).length > 0 ? "with rows" : "packed", members };
}

describe("a record that is packed, spills, shrinks, is cleared and expires", () => {
  it.each([1, 2, 3])("agrees with a plain map, step by step, from seed %i", async (seed) => {
    const stub = env.COORDINATOR.getByName(`packing-${seed}`);
    await inside(stub, (_, { storage }) => {
      const records = new SqliteRecords(storage, ROW_CHARS);
      const plain = new PlainRecord();
      const seen = { none: 0, packed: 0, "with rows": 0, spilled: 0 };
      for (const step of randomSteps(seed)) {
        if (step.sweeps) records.sweep(records.expired(step.nowMs, 10), step.nowMs);
        const answers = records.transaction(() => run(step, records.open(RECORD)));
        expect([seed, step.n, answers]).toEqual([seed, step.n, run(step, plain)]);
        if (step.n % LOOK_EVERY !== 0) continue;
        const { how, members } = stateOf(storage.sql);
        expect([seed, step.n, members]).toEqual([seed, step.n, plain.members]);
        seen[how]++;
      }
      for (const count of [seen.packed, seen["with rows"], seen.spilled]) expect(count).toBeGreaterThan(20);
    });
  });
});
