import { describe, it } from "vitest";
import { type ConformanceCase, conformanceCases, type Harness } from "../../src/testing/index.js";
import { reached } from "../support/figures.js";

/** Runs every conformance case on harnesses made by `make`; what a harness lacks is skipped with its reason. */
export function runConformanceCases(
  title: string,
  make: () => Harness | Promise<Harness>,
  cases: readonly ConformanceCase[] = conformanceCases(),
): void {
  const [backend = title] = title.split(",");
  describe(`conformance: ${title}`, () => {
    for (const { name, row, whyNot, run } of cases) {
      it(row === undefined ? name : `${name} (fault ${row})`, async (ctx) => {
        const harness = await make();
        const reason = whyNot(harness);
        if (reason !== undefined) ctx.skip(reason);
        await run(harness);
        if (row !== undefined) reached(ctx.task, { row: `fault ${row}`, backend, reached: name });
      });
    }
  });
}
