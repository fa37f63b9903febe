import { describe, expect, it } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import type { BackendDefinition } from "../../src/backends/custom/definition.js";
import { type AckResult, CompletionTracker, CoordinationError, type Coordinator } from "../../src/index.js";
import { type Clock, systemClock } from "../../src/lib/clock.js";
import { seededRandom } from "../../src/testing/index.js";
import { gaps, VersionedStore } from "./custom-store.js";

const SEED = Number(process.env.CUSTOM_FAULTS_SEED ?? 1);
const RUNS = Number(process.env.CUSTOM_FAULTS_RUNS ?? 60);
const CLIENTS = 3;
const CALLS = 12;
/** Of a hundred calls so many meet each of the faults. */
const PERCENT = 8;

/** Pauses are a hundredth of what they would be. */
const fast: Clock = {
  now: () => Date.now(),
  setTimer: (run, delayMs, options) => systemClock.setTimer(run, delayMs / 100, options),
};

/** A line on which loads and writes get lost, replies too, and writes come late or twice. */
function badLine(store: VersionedStore, seed: number): BackendDefinition {
  const random = seededRandom(seed);
  const hop = gaps(seed + 7_000);
  const meets = (): boolean => random() * 100 < PERCENT;
  const lose = (): never => {
    throw new Error("the connection was lost");
  };
  const { load, compareAndSet } = store.definition;
  const late = async (set: () => Promise<boolean>): Promise<void> => {
    for (let i = 0; i < 5; i++) await hop();
    await set();
  };
  return {
    load: async (name) => {
      await hop();
      if (meets()) lose();
      const record = await load(name);
      await hop();
      return record;
    },
    compareAndSet: async (name, version, next) => {
      const set = () => compareAndSet(name, version, next);
      await hop();
      if (meets()) lose();
      if (meets()) {
        void late(set);
        return lose();
      }
      const isSet = await set();
      await hop();
      if (meets()) lose();
      return isSet;
    },
    clock: fast,
    callTimeoutMs: 600_000,
    contention: { maxAttempts: 1_000, baseDelayMs: 100, maxDelayMs: 400 },
  };
}

function clientsOf(seed: number): { clients: Coordinator[]; store: VersionedStore; truth: Coordinator } {
  const store = new VersionedStore();
  const clients = Array.from({ length: CLIENTS }, (_, i) => defineBackend(badLine(store, seed * 100 + i)));
  return { clients, store, truth: defineBackend(store.definition) };
}

/** What became of a call: its value, or whether a call that failed may have counted. */
async function told<T>(work: Promise<T>): Promise<{ value: T } | { applied: "no" | "unknown" }> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof CoordinationError && error.retryable) return { applied: error.applied };
    throw error;
  }
}

describe(`over a bad line, ${RUNS} runs from seed ${SEED}`, () => {
  it("a number that many add to is what the calls were told", async () => {
    let [unknown, values] = [0, 0];
    for (let run = 0; run < RUNS; run++) {
      const { clients, truth } = clientsOf(SEED * 10_000 + run);
      const outcomes = await Promise.all(
        clients.map(async (client) => {
          const own: Awaited<ReturnType<typeof told<number>>>[] = [];
          for (let i = 0; i < CALLS; i++) own.push(await told(client.incr("key")));
          return own;
        }),
      );
      const sums = outcomes.flat().flatMap((outcome) => ("value" in outcome ? [outcome.value] : []));
      const open = outcomes.flat().filter((outcome) => "applied" in outcome && outcome.applied === "unknown").length;
      const label = `seed ${SEED}, run ${run}`;
      expect(new Set(sums).size, `${label}: no two calls are told the same sum`).toBe(sums.length);
      // What comes late has come by now.
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
      const sum = await truth.getInt("key");
      expect(sum, label).toBeGreaterThanOrEqual(sums.length);
      expect(sum, label).toBeLessThanOrEqual(sums.length + open);
      unknown += open;
      values += sums.length;
    }
    // Most calls return a result, about four of five with these faults; the others have an unknown outcome.
    expect(values).toBeGreaterThan(RUNS * CLIENTS * CALLS * 0.75);
    expect(unknown).toBeGreaterThan(0);
  });

  it("a group that many ack ends once, with every task counted once", async () => {
    for (let run = 0; run < RUNS; run++) {
      const label = `seed ${SEED}, run ${run}`;
      const { clients, truth } = clientsOf(SEED * 20_000 + run);
      const tasks = Array.from({ length: CLIENTS * CALLS }, (_, i) => `t${i}`);
      await new CompletionTracker(truth).register("g", tasks);
      const acks: AckResult[] = [];
      const ack = async (client: Coordinator, task: string): Promise<void> => {
        for (;;) {
          const outcome = await told(new CompletionTracker(client).ack("g", task));
          if ("applied" in outcome) continue;
          acks.push(outcome.value);
          return;
        }
      };
      await Promise.all(
        clients.map(async (client, i) => {
          // A third of the tasks is done by two.
          for (const [n, task] of tasks.entries()) if (n % CLIENTS === i || n % 9 === i) await ack(client, task);
        }),
      );
      const accepted = acks.filter(({ verdict }) => verdict === "accepted").length;
      const duplicates = acks.filter(({ verdict }) => verdict === "duplicate").length;
      expect(accepted + duplicates, label).toBe(acks.length);
      expect(accepted, label).toBeLessThanOrEqual(tasks.length);
      expect(acks.filter(({ ended }) => ended).length, label).toBeLessThanOrEqual(1);
      expect(await new CompletionTracker(truth).status("g"), label).toMatchObject({
        state: "completed",
        succeeded: tasks.length,
        remaining: 0,
      });
    }
  });
});
