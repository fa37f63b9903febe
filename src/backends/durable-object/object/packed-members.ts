import { CoordinationError } from "../../../errors.js";
import { MemberText, type MemberValue } from "../../../runtime/member-text.js";

/** The largest row of a record: its head and its packed members, in UTF-16 units. */
export const ROW_CHARS = 32_768;

/** A value that is larger than this share of the row's free room gets a row of its own, unless it is small. */
const SHARE = 1 / 8;
/** A value up to this share of the largest row is small: 256 characters. */
const SMALL_SHARE = 1 / 128;
/** The quotes, the tab and the line break of a member's line. */
const MARKS = 6;

/** The value of a member that has a row of its own, in the text. */
export const IN_ROW = null;

/**
 * The members that share their record's row. A member with a row of its own has a line without its value. So the text alone
 * says whether a member exists.
 */
export class PackedMembers {
  readonly #text: MemberText;
  readonly #small: number;
  /** How many characters of the row are free, approximately: an escaped character counts as one. */
  #room: number;

  /**
   * @param packed what `toString` returned, or "" for no members.
   * @param headChars the length of the head, which shares the row.
   * @param rowChars the largest row.
   */
  constructor(packed: string, headChars: number, rowChars: number) {
    this.#text = new MemberText(packed, foreign);
    this.#small = rowChars * SMALL_SHARE;
    this.#room = rowChars - headChars - packed.length;
  }

  /** Returns the values in the order of the names; `IN_ROW` for one that has a row of its own. */
  read(names: readonly string[]): MemberValue[] {
    return this.#text.read(names);
  }

  set(name: string, value: MemberValue): void {
    this.#text.set(name, value);
    this.#room -= sizeOf(name, value);
  }

  /** Removes the member, and returns its value. */
  take(name: string): MemberValue {
    const value = this.#text.get(name);
    if (value !== undefined) this.#text.set(name, undefined);
    this.#room += sizeOf(name, value);
    return value;
  }

  /**
   * Returns whether the value gets a row of its own. The fuller the record's row, the smaller the values that it takes. So
   * a hundred results of a kilobyte do not fill it.
   */
  isLarge(value: string): boolean {
    return value.length > Math.max(this.#room * SHARE, this.#small);
  }

  /** Returns every member by its name. */
  members(): Map<string, string | typeof IN_ROW> {
    return this.#text.members();
  }

  toString(): string {
    return this.#text.toString();
  }
}

function sizeOf(name: string, value: MemberValue): number {
  return value === undefined ? 0 : name.length + (value?.length ?? 0) + MARKS;
}

function foreign(): CoordinationError {
  return new CoordinationError("backend_rejected", "the record's members were not written by this library");
}
