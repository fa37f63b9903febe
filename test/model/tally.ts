/** Counts what the runs met, so that a test that looks at nothing cannot pass. */
export class Tally {
  readonly #counts = new Map<string, number>();
  commands = 0;
  runs = 0;

  met(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** Those of `expected` that no run met. */
  missing(expected: readonly string[]): string[] {
    return expected.filter((what) => !this.#counts.has(what));
  }
}
