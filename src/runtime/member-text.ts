import { parsed } from "../lib/json.js";

/** After so many searches, one index of all lines is cheaper than another search. */
const MAX_SEARCHES = 64;

/** A member's text; `null`: its text is stored elsewhere; `undefined`: there is no such member. */
export type MemberValue = string | null | undefined;

/** Where a member's line is in the text, with the line break before it, and where its value begins. */
interface Line {
  readonly from: number;
  readonly valueFrom: number;
  readonly to: number;
}

/**
 * The members of a record as one text: a line for each member. The line holds the name and the value as JSON, which escapes
 * line breaks and tabs. One operation reads a few members. It searches the text for their lines and cuts it there. That is
 * much faster than to parse and write every member of a large record.
 */
export class MemberText {
  /** The lines, as they were read. */
  readonly #lines: string;
  readonly #invalid: () => Error;
  #index: Map<string, Line> | undefined;
  /** The lines that were searched for so far. */
  readonly #found = new Map<string, Line | undefined>();
  /** The members that were written since. */
  readonly #written = new Map<string, MemberValue>();

  /**
   * @param lines what `toString` returned, or "" for no members.
   * @param invalid returns the error for lines that `toString` did not return.
   */
  constructor(lines: string, invalid: () => Error) {
    this.#lines = lines;
    this.#invalid = invalid;
  }

  /** Returns the values in the order of the names. */
  read(names: readonly string[]): MemberValue[] {
    if (names.length > MAX_SEARCHES) this.#indexed();
    return names.map((name) => this.get(name));
  }

  get(name: string): MemberValue {
    return this.#written.has(name) ? this.#written.get(name) : this.#valueOf(name);
  }

  /** Sets a member; `undefined` removes it. */
  set(name: string, value: MemberValue): void {
    this.#written.set(name, value);
  }

  /** Returns every member by its name. */
  members(): Map<string, string | null> {
    const names = new Set([...this.#indexed().keys()].map((name) => JSON.parse(name) as string));
    for (const name of this.#written.keys()) names.add(name);
    const members = new Map<string, string | null>();
    for (const name of names) {
      const value = this.get(name);
      if (value !== undefined) members.set(name, value);
    }
    return members;
  }

  /** Returns the lines with all changes. */
  toString(): string {
    return this.#cut() + this.#newLines();
  }

  #valueOf(name: string): MemberValue {
    const line = this.#find(name);
    if (line === undefined) return undefined;
    const value = parsed(this.#lines.slice(line.valueFrom, line.to));
    if (typeof value !== "string" && value !== null) throw this.#invalid();
    return value;
  }

  #find(name: string): Line | undefined {
    if (this.#lines === "") return undefined;
    if (this.#index === undefined && this.#found.has(name)) return this.#found.get(name);
    const key = JSON.stringify(name);
    if (this.#index !== undefined || this.#found.size >= MAX_SEARCHES) return this.#indexed().get(key);
    const line = this.#search(`\n${key}\t`);
    this.#found.set(name, line);
    return line;
  }

  #search(start: string): Line | undefined {
    const from = this.#lines.indexOf(start);
    if (from < 0) return undefined;
    const end = this.#lines.indexOf("\n", from + 1);
    return { from, valueFrom: from + start.length, to: end < 0 ? this.#lines.length : end };
  }

  /** Returns all lines by their names, in JSON. */
  #indexed(): Map<string, Line> {
    if (this.#index !== undefined) return this.#index;
    const index = new Map<string, Line>();
    const lines = this.#lines;
    for (let from = 0; from < lines.length; ) {
      const tab = lines.indexOf("\t", from);
      const end = lines.indexOf("\n", from + 1);
      const to = end < 0 ? lines.length : end;
      if (tab < 0 || tab > to) throw this.#invalid();
      index.set(lines.slice(from + 1, tab), { from, valueFrom: tab + 1, to });
      from = to;
    }
    this.#index = index;
    return index;
  }

  /** Returns the lines without the members that were written since. */
  #cut(): string {
    const found: Line[] = [];
    for (const name of this.#written.keys()) {
      const line = this.#find(name);
      if (line !== undefined) found.push(line);
    }
    found.sort((a, b) => a.from - b.from);
    let kept = "";
    let at = 0;
    for (const { from, to } of found) {
      kept += this.#lines.slice(at, from);
      at = to;
    }
    return kept + this.#lines.slice(at);
  }

  #newLines(): string {
    const lines: string[] = [];
    for (const [name, value] of this.#written) {
      if (value !== undefined) lines.push(lineOf(name, value));
    }
    return lines.join("");
  }
}

/** Returns the line of a member. */
export function lineOf(name: string, value: string | null): string {
  return `\n${JSON.stringify(name)}\t${JSON.stringify(value)}`;
}
