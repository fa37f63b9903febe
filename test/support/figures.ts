import { inject, type TestContext } from "vitest";
import type {} from "./provided.js";

/** What a test reached, as the table of guarantees states it. */
export interface Figure {
  /** The row of the table: `T4`, `S2`. */
  readonly row: string;
  /** Where it was reached, where that is not said by the row itself. */
  readonly backend?: string;
  /** A few words with the figure in them: `1,000 rounds, 0 effects lost or doubled`. */
  readonly reached: string;
}

declare module "vitest" {
  interface TaskMeta {
    figures?: Figure[];
  }
}

/** States what this test reached. Stated before the test's last expectation, it still counts only when the test passes. */
export function reached(task: TestContext["task"], figure: Figure): void {
  task.meta.figures ??= [];
  task.meta.figures.push(figure);
}

/** How often to run what a row asks for: `RUNS_T5=1000` in the environment, or what a run in CI has time for. */
export function runs(row: string, inCi: number): number {
  return inject("runs")[row] ?? inCi;
}

export { count } from "../guarantees/count.js";
