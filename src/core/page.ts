import { byteLength, formatInteger } from "./host.js";
import { MAX_PAGE_BYTES } from "./limits.js";
import type { Store } from "./store.js";

/** The members that a page is read from: `letter:N` for the numbers from `from` (inclusive) to `to` (exclusive). */
export interface PageInput {
  letter: string;
  from: number;
  to: number;
  /** How many bytes the page takes at most. Default and maximum: `MAX_PAGE_BYTES`. */
  bytes: number | undefined;
}

/** How many members one read loads. It limits how much is read beyond the page. */
const CHUNK = 64;

/** Reads as many members as a page holds, and at least one; `undefined` for a member that is missing. */
export function readPage(store: Store, { letter, from, to, bytes }: PageInput): (string | undefined)[] {
  const most = bytes !== undefined && bytes < MAX_PAGE_BYTES ? bytes : MAX_PAGE_BYTES;
  const texts: (string | undefined)[] = [];
  let size = 0;
  let at = from;
  while (at < to) {
    const names: string[] = [];
    for (let i = at; i < to && names.length < CHUNK; i++) names.push(`${letter}:${formatInteger(i)}`);
    store.load(names);
    for (const each of names) {
      const text = store.get(each);
      size += text === undefined ? 0 : byteLength(text);
      if (size > most && texts.length > 0) return texts;
      texts.push(text);
      at++;
    }
  }
  return texts;
}
