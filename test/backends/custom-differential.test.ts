import { describe, it } from "vitest";
import { defineBackend } from "../../src/backends/custom/define-backend.js";
import { RecordText } from "../../src/backends/custom/record.js";
import { expectAgreement } from "../differential/compare.js";
import { normal, type Said, type Step, type Stored, stored } from "../differential/model.js";
import { randomSteps } from "../differential/steps.js";
import { VersionedStore } from "./custom-store.js";

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? 1);
const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 100);
const STEPS = 300;

async function run(steps: readonly Step[]): Promise<{ said: Said[]; state: Record<string, Stored> }> {
  const store = new VersionedStore();
  let nowMs = 0;
  const coordinator = defineBackend({ ...store.definition, now: () => nowMs });
  // Nothing is woken but by the steps themselves.
  const input = () => {
    throw new Error("the steps wake");
  };
  for (const machine of ["completion", "request", "semaphore"] as const)
    coordinator.onWake(machine, { input, act: async () => {} });
  const said: Said[] = [];
  for (const step of steps) {
    nowMs = step.nowMs;
    const output = await coordinator.run(step.transition, step.id, step.input as never);
    const { wakeAtMs = null } =
      store.records.get(`${step.transition.split(".")[0]}:${encodeURIComponent(step.id)}`) ?? {};
    said.push({ output: normal(output), isDue: wakeAtMs !== null && wakeAtMs <= nowMs });
  }
  const state: Record<string, Stored> = {};
  for (const [name, { data, expiresAtMs, wakeAtMs }] of store.records) {
    const record = RecordText.parse(data);
    const head = record.rows.readHead() ?? "";
    state[decodeURIComponent(name)] = stored(head, record.members(), expiresAtMs, wakeAtMs);
  }
  return { said, state };
}

describe(`a custom backend and memory, ${RUNS * STEPS} transitions from seed ${SEED}`, () => {
  it("say and hold the same, step by step", async () => {
    const startAtMs = Date.now();
    for (let i = 0; i < RUNS; i++) await expectAgreement(randomSteps(SEED * 100_000 + i, STEPS, startAtMs), run);
  });
});
