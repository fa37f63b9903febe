import { env } from "cloudflare:workers";
import { afterEach, describe, it } from "vitest";
import { SqliteRecords } from "../../src/backends/durable-object/object/records.js";
import { applyTransition } from "../../src/core/registry.js";
import { openDraft } from "../../src/core/transaction.js";
import { storedMembers } from "../support/stored-members.js";
import { inside, resetAll } from "../support/test-worker.js";
import { expectAgreement } from "./compare.js";
import { nameOf, normal, type Said, type Step, type Stored, stored } from "./model.js";
import { randomSteps } from "./steps.js";

const SEED = Number(env.DIFFERENTIAL_SEED ?? 1);
const RUNS = Number(env.DIFFERENTIAL_RUNS ?? 50);
const STEPS = 300;

declare global {
  namespace Cloudflare {
    interface Env {
      DIFFERENTIAL_SEED?: string;
      DIFFERENTIAL_RUNS?: string;
    }
  }
}

afterEach(resetAll);

/** One step as the object takes it, without its alarm and its watchers. */
function apply(records: SqliteRecords, step: Step): Said {
  const name = nameOf(step);
  return records.transaction(() => {
    const record = records.open(name);
    const draft = openDraft(record, step.nowMs);
    const output = applyTransition(step.transition, draft.store, structuredClone(step.input) as never);
    const changes = draft.changes();
    if (changes.dirty) record.commit(changes);
    const { wakeAtMs } = changes;
    return { output: normal(output), isDue: wakeAtMs !== undefined && wakeAtMs <= step.nowMs };
  });
}

function stateOf({ sql }: DurableObjectStorage): Record<string, Stored> {
  const state: Record<string, Stored> = {};
  type Row = { name: string; head: string; until: number | null; wake: number | null };
  for (const { name, head, until, wake } of sql.exec<Row>("SELECT * FROM records").toArray()) {
    state[name] = stored(head, [...storedMembers(sql, name)], until, wake);
  }
  return state;
}

let objects = 0;

/** Rows so small that half of the records spill. */
const SMALL_ROW_CHARS = 200;

function run(steps: readonly Step[], rowChars?: number): Promise<{ said: Said[]; state: Record<string, Stored> }> {
  const stub = env.COORDINATOR.getByName(`differential-${++objects}`);
  return inside(stub, (_, { storage }) => {
    const records = new SqliteRecords(storage, rowChars);
    return { said: steps.map((step) => apply(records, step)), state: records.exists ? stateOf(storage) : {} };
  });
}

describe(`SQLite and memory, ${RUNS * STEPS} transitions from seed ${SEED}`, () => {
  it("say and hold the same, step by step", async () => {
    const startAtMs = Date.now();
    for (let i = 0; i < RUNS; i++) await expectAgreement(randomSteps(SEED * 100_000 + i, STEPS, startAtMs), run);
  });

  it("say and hold the same while records spill", async () => {
    const startAtMs = Date.now();
    const runSmall = (steps: readonly Step[]) => run(steps, SMALL_ROW_CHARS);
    for (let i = 0; i < RUNS; i++) {
      await expectAgreement(randomSteps(SEED * 200_000 + i, STEPS, startAtMs), runSmall);
    }
  });
});
