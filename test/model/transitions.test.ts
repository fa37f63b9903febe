import { describe, expect, it } from "vitest";
import { count, reached, runs } from "../support/figures.js";
import { runSequence } from "./transition-run.js";

/** The sequences with these seeds: `RUNS_T2_TRANSITIONS` says how many, `RUNS_T2_TRANSITIONS_SEED` which is the first. */
const SEQUENCES = runs("T2_TRANSITIONS", 1_000);
const FIRST = runs("T2_TRANSITIONS_SEED", 1);

describe("model: the transitions of a group", () => {
  it("agree with a model of sets and lists, whatever calls and late copies come in whichever order", ({ task }) => {
    let [calls, copies] = [0, 0];
    for (let seed = FIRST; seed < FIRST + SEQUENCES; seed++) {
      const sequence = runSequence(seed);
      calls += sequence.calls;
      copies += sequence.copies;
    }
    const figure = `${count(SEQUENCES)} runs, ${count(calls)} commands, ${count(copies)} late copies, 0 violations`;
    reached(task, { row: "T2", backend: "transitions", reached: figure });
    expect(copies).toBeGreaterThan(SEQUENCES);
  });
});
