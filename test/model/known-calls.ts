import type { Verdict } from "./group-record.js";

/** How long a call is known after another one has taken its place. */
export const KNOWN_MS = 60_000;

/** Which call has settled which task, in which use of the record: a late copy of the call changes nothing there. */
export class KnownCalls {
  readonly #settled = new Map<string, Set<string>>();
  /** The uses of the record whose marks are there: the current one, and those that were removed within a minute. */
  #uses: number[] = [0];
  #last = 0;

  /** The marks go: after an expiry or a restart that keeps nothing. */
  forget(): void {
    this.#uses = [++this.#last];
  }

  /** A new use begins beside the marks of a removed one. */
  beginBeside(): void {
    this.#uses = [...this.#uses, ++this.#last];
  }

  add(op: string, key: string): void {
    const tasks = this.#settled.get(op) ?? new Set();
    this.#settled.set(op, tasks.add(`${this.#last} ${key}`));
  }

  has(op: string, key: string): boolean {
    const tasks = this.#settled.get(op);
    return tasks !== undefined && this.#uses.some((use) => tasks.has(`${use} ${key}`));
  }
}

/**
 * A late copy changes nothing. Its answer may say less than the first one: a mark that another call has made since then says
 * `duplicate`; a mark that a removed or restarted generation left says how that one was settled.
 */
export function isAnswerToCopy(verdict: Verdict, expected: Verdict, isSettled: boolean): boolean {
  if (verdict === expected) return true;
  if (expected !== "accepted") return verdict === "early";
  return verdict === "early" || (verdict === "duplicate" && isSettled);
}
