import { describe, expect, it } from "vitest";
import { count, reached, runs } from "../support/figures.js";
import { simulate } from "./simulate.js";

const FROM = Number(process.env.SIMULATION_FROM ?? 1);
const SEEDS = runs("T3", 2_000);

describe("many instances, while everything fails", () => {
  it(`keep every invariant, seeds ${FROM} to ${FROM + SEEDS - 1}`, { timeout: 900_000 }, ({ task }) => {
    reached(task, { row: "T3", reached: `${count(SEEDS)} seeds, 0 violations` });
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const { violation, trace } = simulate(seed);
      if (violation !== undefined) {
        throw new Error(`${violation}\nnpm run simulate -- --seed ${seed}\n${trace().slice(-60).join("\n")}`);
      }
    }
  });

  it("are the same run for the same seed, to the last step", () => {
    for (const seed of [1, 14, 109]) expect(simulate(seed).trace()).toEqual(simulate(seed).trace());
  });

  it("meet what they are for: duplicates, deaths, late starts, retries, timeouts, hand-overs, growth, children", () => {
    const traces = Array.from({ length: 100 }, (_, i) =>
      simulate(i + 1)
        .trace()
        .join("\n"),
    ).join("\n");
    for (const met of [
      '"verdict":"duplicate"',
      '"verdict":"early"',
      '"verdict":"late"',
      '"outcome":"exists"',
      '"outcome":"conflict"',
      '"state":"timed_out"',
      '"state":"cancelled"',
      '"next":{"lists"',
      '"outcome":"added"',
      '"outcome":"sealed"',
      '"outcome":"retried"',
      '"keep":"succeeded"',
      '"reason":"idle"',
      '"reason":"deadline"',
      "min_successful_reached",
      "failure_tolerance_exceeded",
      '"cancelled":true',
      "-parent",
      '"found":true',
      " dies",
      "attempt 2",
      '"settled":false',
      "a waiter puts off the end by silence",
      "ended by silence",
    ]) {
      expect(traces, met).toContain(met);
    }
  });
});
