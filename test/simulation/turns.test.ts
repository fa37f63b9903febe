import { describe, expect, it } from "vitest";
import { count, reached, runs } from "../support/figures.js";
import type { Outcome } from "./simulate.js";
import { simulateLimiter } from "./turns/limiter.js";
import { simulateOnce } from "./turns/once.js";
import { simulateSemaphore } from "./turns/semaphore.js";

const FROM = Number(process.env.SIMULATION_FROM ?? 1);
const SEEDS = runs("T11", 500);

interface Simulation {
  readonly name: string;
  readonly simulate: (seed: number) => Outcome;
  /** What the traces of a hundred seeds must hold. */
  readonly meets: readonly string[];
}

const SIMULATIONS: readonly Simulation[] = [
  {
    name: "permits",
    simulate: simulateSemaphore,
    meets: [
      '"outcome":"granted"',
      '"outcome":"queued"',
      '"outcome":"over"',
      '"released":false',
      '"held":false',
      '"changed":true',
      " dies",
      "the clock jumps",
    ],
  },
  {
    name: "runs",
    simulate: simulateOnce,
    meets: [
      '"outcome":"begun"',
      '"outcome":"done","value"',
      '{"outcome":"done"}',
      '"outcome":"busy"',
      '"outcome":"over"',
      '"held":false',
      '"found":true',
      '"claimed":true',
      '"released":true',
      " dies",
      "the clock jumps",
    ],
  },
  {
    name: "limits",
    simulate: simulateLimiter,
    meets: ['"allowed":true', '"allowed":false', '"remaining":0', '"retryAfterMs":1'],
  },
];

describe.each(SIMULATIONS)("$name, while everything fails", ({ name, simulate, meets }) => {
  it(`keep every invariant, seeds ${FROM} to ${FROM + SEEDS - 1}`, { timeout: 3_600_000 }, ({ task }) => {
    reached(task, { row: "T11", backend: name, reached: `${count(SEEDS)} seeds in 4 modes, 0 violations` });
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const { violation, trace } = simulate(seed);
      if (violation === undefined) continue;
      const again = `npx tsx test/simulation/turns/cli.ts --seed ${seed}`;
      throw new Error(`${violation}\n${again}\n${trace().slice(-60).join("\n")}`);
    }
  });

  it("are the same run for the same seed, and meet what they are for", () => {
    for (const seed of [1, 14, 109]) expect(simulate(seed).trace()).toEqual(simulate(seed).trace());
    const traces = Array.from({ length: 100 }, (_, i) =>
      simulate(i + 1)
        .trace()
        .join("\n"),
    ).join("\n");
    for (const met of meets) expect(traces, met).toContain(met);
  });
});
