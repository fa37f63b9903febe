import type { Evidence } from "./evidence.js";
import { FOUND } from "./found.js";
import { BACKENDS, FAULTS, ROWS, type Row, SHOWN_ELSEWHERE } from "./rows.js";

/** How the polling design is called in the figures of its own tests. */
const POLLING = "polling design";

/** One line of the table: what was shown of a row, on which backends, by which files. */
export interface Line {
  readonly row: string;
  readonly promise: string;
  /** By backend; `""` for what is no matter of one. */
  readonly shown: ReadonlyMap<string, readonly Shown[]>;
  /** Backends that the row must be shown on, and is not. */
  readonly missing: readonly string[];
}

export interface Shown {
  readonly reached: string;
  readonly file: string;
}

/** What a run has shown, row by row: the fault table first, the polling design beside it. */
export function tableOf(evidence: readonly Evidence[]): {
  faults: Line[];
  found: Line[];
  polling: Map<string, Shown[]>;
  figures: Line[];
} {
  const polling = new Map<string, Shown[]>();
  const faults: Line[] = [];
  for (let n = 1; n <= FAULTS; n++) {
    const row = `fault ${n}`;
    const shown = shownOf(evidence, row);
    polling.set(row, shown.get(POLLING) ?? []);
    shown.delete(POLLING);
    const promise = [...new Set([...shown.values()].flat().map(({ reached }) => reached))].join("; ");
    faults.push(lineOf({ row, promise, backends: SHOWN_ELSEWHERE[n] ?? BACKENDS }, shown));
  }
  const named = [...evidence, ...evidence.flatMap(namedRows)];
  const found = FOUND.map((row) => lineOf(row, shownOf(named, row.row)));
  return { faults, found, polling, figures: ROWS.map((row) => lineOf(row, shownOf(evidence, row.row))) };
}

function lineOf({ row, promise, backends }: Row, shown: ReadonlyMap<string, readonly Shown[]>): Line {
  const missing = backends?.filter((backend) => !shown.has(backend)) ?? (shown.size === 0 ? [""] : []);
  return { row, promise, shown, missing };
}

/** A test that names a row in its own name, or in that of a suite around it, shows the row; of which backend is not said. */
function namedRows(test: Evidence): Evidence[] {
  if (test.state === "skipped") return [];
  const rows = [...test.name.matchAll(/\brow (\d+): ([^>]*)/g)];
  return rows.map(([, row, text = ""]) => ({ ...test, figures: [{ row: `fault ${row}`, reached: text.trim() }] }));
}

/** Of tests that passed alone. A row of which one test failed is not shown where that one says. */
function shownOf(evidence: readonly Evidence[], row: string): Map<string, Shown[]> {
  const shown = new Map<string, Shown[]>();
  const failed = new Set<string>();
  for (const { file, state, figures } of evidence) {
    for (const { row: of, backend = "", reached } of figures) {
      if (of !== row) continue;
      if (state !== "passed") failed.add(backend);
      else shown.set(backend, [...(shown.get(backend) ?? []), { reached, file }]);
    }
  }
  for (const backend of failed) shown.delete(backend);
  return shown;
}
