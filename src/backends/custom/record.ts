import type { Changes, Rows } from "../../core/store.js";
import { CoordinationError } from "../../errors.js";
import { parsed } from "../../lib/json.js";
import { lineOf, MemberText } from "../../runtime/member-text.js";

/** The layout version of a record's text. A record with a later layout is refused. */
const LAYOUT = 2;
/** The largest size of a header without the head, in bytes. */
const HEADER_BYTES = 120;

/** The first line of a record's text. */
interface Header {
  readonly layout: number;
  /** Names the write that stored the record. An operation that lost its reply looks for its stamp here. */
  readonly stamp: string;
  /** The length of the lines after the header, to detect a store that truncates texts. */
  readonly length: number;
  readonly head: string;
}

/** A record as one text: a header, then a line for each member. */
export class RecordText {
  readonly #stamp: string | undefined;
  #head: string | undefined;
  #members: MemberText;

  private constructor(stamp: string | undefined, head: string | undefined, lines: string) {
    this.#stamp = stamp;
    this.#head = head;
    this.#members = new MemberText(lines, foreign);
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
      this.#members = new MemberText("", foreign);
    }
    this.#head = changes.head ?? this.#head;
    for (const [i, name] of changes.names.entries()) {
      const value = changes.values[i];
      this.#members.set(name, value === false ? undefined : value);
    }
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
    const lines = this.#members.toString();
    const header: Header = { layout: LAYOUT, stamp, length: lines.length, head };
    return JSON.stringify(header) + lines;
  }

  /** Returns every member by its name. */
  members(): Map<string, string> {
    return new Map([...this.#members.members()].map(([name, value]) => [name, textOf(value)]));
  }

  #read(names: readonly string[]): (string | false)[] {
    return this.#members.read(names).map((value) => (value === undefined ? false : textOf(value)));
  }
}

/** Every member of such a record has its text in its line. */
function textOf(value: string | null): string {
  if (value === null) throw foreign();
  return value;
}

export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function foreign(): CoordinationError {
  return rejected("load returned data that compareAndSet never stored");
}

function rejected(message: string): CoordinationError {
  return new CoordinationError("backend_rejected", message);
}
