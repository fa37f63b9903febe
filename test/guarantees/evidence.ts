import type { Figure } from "../support/figures.js";

/** One test that ran, as the table of guarantees looks at it. */
export interface Evidence {
  /** From the repository's root. */
  readonly file: string;
  /** The test's name with those of the suites around it. */
  readonly name: string;
  readonly state: "passed" | "failed" | "skipped" | "pending";
  readonly figures: readonly Figure[];
}

/** Where a run leaves it, from the repository's root. */
export const EVIDENCE_FILE = "node_modules/.cache/guarantees/evidence.json";
/** Where `npm run mutants` leaves its own. */
export const MUTANTS_FILE = "node_modules/.cache/guarantees/mutants.json";
