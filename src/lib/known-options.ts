import { invalid } from "./validate.js";

/** The names of an interface's fields. The compiler reports a name that is missing or unknown. */
export type Names<Options> = { readonly [Name in keyof Options]-?: true };

/**
 * Refuses options with an unknown name. `undefined` means no options.
 *
 * @throws {CoordinationError} `invalid_input` that names the option, and the known option that is nearest to it.
 */
export function checkOptions(options: unknown, known: Readonly<Record<string, true>>, field = "options"): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) throw invalid(`${field} must be an object`);
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    // A name with other characters may be a secret, so the error does not show it.
    if (!/^[A-Za-z_]\w{0,31}$/.test(name)) throw invalid(`${field} has an unknown field`);
    const near = nearest(name, Object.keys(known));
    throw invalid(`${field} has an unknown field: ${name}${near === undefined ? "" : `; did you mean ${near}?`}`);
  }
}

/** Returns the name with the fewest edits, or `undefined` when half of the name or more would have to change. */
function nearest(name: string, known: readonly string[]): string | undefined {
  let [found, fewest]: [string | undefined, number] = [undefined, name.length / 2];
  for (const candidate of known) {
    const edits = editsBetween(name.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest) [found, fewest] = [candidate, edits];
  }
  return found;
}

/** The Levenshtein distance. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) {
      const kept = (row[k - 1] ?? 0) + (a[i - 1] === b[k - 1] ? 0 : 1);
      next.push(Math.min(kept, (row[k] ?? 0) + 1, (next[k - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
