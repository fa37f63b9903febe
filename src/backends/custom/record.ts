import type { Changes, Rows } from "../../core/store.js";
import { CoordinationError } from "../../errors.js";

/** The layout version of a record's text. A record with a later layout is refused. */
const LAYOUT = 2;
/** The largest size of a header without the head, in bytes. */
const HEADER_BYTES = 120;
/** After so many searches, one index of all lines is cheaper than another search. */
const MAX_SEARCHES = 64;

/** The first line of a record's text. */
interface Header {
  readonly layout: number;
  /** Names the write that stored the record. An operation that lost its reply looks for its stamp here. */
  readonly stamp: string;
  /** The length of the lines after the header, to detect a store that truncates texts. */
  readonly length: number;
  readonly head: string;
}

/** Where a member's line is in the text, with the line break before it, and where its value begins. */
interface Line {
  readonly from: number;
  readonly valueFrom: number;
  readonly to: number;
}

/**
 * A record as one text: a header, then a line for each member. The line holds the name and the value as JSON, which escapes
 * line breaks and tabs. One operation reads a few members. It searches the text for their lines and cuts it there. That is
 * much faster than to parse and write every member of a large record.
 */
export class RecordText {
  readonly #stamp: string | undefined;
  #head: string | undefined;
  /** The member lines, as they were read. */
  #lines: string;
  #index: Map<string, Line> | undefined;
  /** The lines that were searched for so far. */
  readonly #found = new Map<string, Line | undefined>();
  /** The members that were written since; `false` for a member that was removed. */
  readonly #written = new Map<string, string | false>();

  private constructor(stamp: string | undefined, head: string | undefined, lines: string) {
    this.#stamp = stamp;
    this.#head = head;
    this.#lines = lines;
  }

  /** Returns an empty record, for one that does not exist. */
  static none(): RecordText {
    return new RecordText(undefined, undefined, "");
  }

  /** @throws {CoordinationError} `backend_rejected` for a text that `write` did not produce. */
  static parse(data: string): RecordText {
    const end = data.indexOf("\n");
    const lines = end < 0 ? "" : data.slice(end);
    const { layout, stamp, length, head } = Object(parsed(end < 0 ? data : data.slice(0, end))) as Partial<Header>;
    if (typeof layout === "number" && layout > LAYOUT) throw rejected("the record was written by a later version");
    const isOurs = layout === LAYOUT && typeof stamp === "string" && typeof head === "string";
    if (!isOurs || length !== lines.length) throw foreign();
    return new RecordText(stamp, head, lines);
  }

  /** Names the write that stored the record; `undefined` when there is none. */
  get stamp(): string | undefined {
    return this.#stamp;
  }

  /** The rows that a transition's draft reads. */
  get rows(): Rows {
    return { readHead: () => this.#head, read: (names) => this.#read(names) };
  }

  apply(changes: Changes): void {
    if (changes.cleared) {
      this.#head = undefined;
      this.#lines = "";
      this.#index = undefined;
      this.#found.clear();
      this.#written.clear();
    }
    this.#head = changes.head ?? this.#head;
    for (const [i, name] of changes.names.entries()) this.#written.set(name, changes.values[i] ?? false);
  }

  /**
   * Returns an upper bound of the record's size after these changes, in bytes of UTF-8.
   *
   * @param bytes the record's size before the changes, 0 for none.
   */
  bytesAfter(bytes: number, { cleared, head, names, values }: Changes): number {
    let after = cleared || bytes === 0 ? HEADER_BYTES : bytes;
    if (head !== undefined) after += bytesOf(JSON.stringify(head));
    if (!cleared && head !== undefined) after -= bytesOf(JSON.stringify(this.#head ?? ""));
    for (const [i, name] of names.entries()) {
      const value = values[i] ?? false;
      const [old = false] = cleared ? [] : this.#read([name]);
      if (value !== false) after += bytesOf(lineOf(name, value));
      if (old !== false) after -= bytesOf(lineOf(name, old));
    }
    return after;
  }

  /** Returns the text after the changes; `undefined` when the record is removed. */
  write(stamp: string): string | undefined {
    const head = this.#head;
    if (head === undefined) return undefined;
    const lines = this.#cut() + this.#newLines();
    const header: Header = { layout: LAYOUT, stamp, length: lines.length, head };
    return JSON.stringify(header) + lines;
  }

  /** Returns every member by its name. */
  members(): Map<string, string> {
    const names = new Set([...this.#indexed().keys()].map((name) => JSON.parse(name) as string));
    for (const name of this.#written.keys()) names.add(name);
    const members = new Map<string, string>();
    for (const name of names) {
      const [value] = this.#read([name]);
      if (typeof value === "string") members.set(name, value);
    }
    return members;
  }

  #read(names: readonly string[]): (string | false)[] {
    if (names.length > MAX_SEARCHES) this.#indexed();
    return names.map((name) => this.#written.get(name) ?? this.#valueOf(name));
  }

  #valueOf(name: string): string | false {
    const line = this.#find(name);
    if (line === undefined) return false;
    const value = parsed(this.#lines.slice(line.valueFrom, line.to));
    if (typeof value !== "string") throw foreign();
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
      if (tab < 0 || tab > to) throw foreign();
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
      if (value !== false) lines.push(lineOf(name, value));
    }
    return lines.join("");
  }
}

function lineOf(name: string, value: string): string {
  return `\n${JSON.stringify(name)}\t${JSON.stringify(value)}`;
}

export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The JSON parser's own error quotes the text.
    return undefined;
  }
}

function foreign(): CoordinationError {
  return rejected("load gave a data that compareAndSet was never given");
}

function rejected(message: string): CoordinationError {
  return new CoordinationError("backend_rejected", message);
}
