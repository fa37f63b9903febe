import { describe, expect, it } from "vitest";
import { count, reached } from "../../support/figures.js";
import { type Cell, COLUMNS, Matrix, type World } from "./matrix.js";
import { nameOf, type Operation } from "./operation.js";

/** Ends only what hangs: all columns take several minutes on a machine that is busy with other work. */
const HANGS_MS = 1_200_000;

/** Tries every fault on every request of every operation, side by side; states what was reached. */
export function describeMatrix(backend: string, operations: readonly Operation[], world: () => World): void {
  let matrix: Matrix | undefined;
  const columns = new Map<string, Promise<Cell[]>>();

  /** All columns begin with the first. */
  function cellsOf(name: string): Promise<Cell[]> {
    matrix ??= new Matrix(world());
    for (const column of COLUMNS) {
      if (!columns.has(column.name)) columns.set(column.name, matrix.column(operations, column));
    }
    return columns.get(name) ?? Promise.resolve([]);
  }

  describe("an operation whose request is", () => {
    it.each(COLUMNS)("$name counts once at most, and says what it knows", { timeout: HANGS_MS }, async ({ name }) => {
      const cells = await cellsOf(name);
      expect(cells.flatMap((cell) => cell.wrong.map((wrong) => `${cell.name}: ${wrong}`))).toEqual([]);
      expect(cells.length).toBeGreaterThanOrEqual(operations.length);
    });
  });

  it("gives every operation a true outcome under every fault", { timeout: HANGS_MS }, async ({ task }) => {
    const cells = (await Promise.all(COLUMNS.map(({ name }) => cellsOf(name)))).flat();
    const right = cells.filter(({ wrong }) => wrong.length === 0);
    const told = (outcome: Cell["outcome"]): string => count(cells.filter((cell) => cell.outcome === outcome).length);
    const uses = new Set(operations.map(nameOf)).size;
    const methods = new Set(operations.map(({ method }) => method)).size;
    reached(task, {
      row: "T4",
      backend,
      reached:
        `${uses} uses of ${methods} operations × ${COLUMNS.length} faults, ${count(right.length)} of ${count(cells.length)} right: ` +
        `${told("value")} values, and ${told("told no")} calls repeated after a "no", equal one application; ` +
        `${told("told unknown")} told "unknown" and ${told("aborted")} left by their caller equal one or none, as it arrived`,
    });
    expect(right.length).toBe(cells.length);
  });
}
