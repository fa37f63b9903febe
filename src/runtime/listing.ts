import type { Brief } from "../core/group/brief.js";
import type { IndexLine } from "../core/store.js";

/** The machines whose records an index lists. */
export type ListedMachine = "completion" | "request";

export function isListed(machine: string): machine is ListedMachine {
  return machine === "completion" || machine === "request";
}

/** A position in a list: that of a line. Lines with the same instant are in the order of their ids, byte by byte. */
export interface ListPosition {
  readonly atMs: number;
  readonly id: string;
}

/** Selects the lines of one page. */
export interface ListQuery {
  readonly machine: ListedMachine;
  /** The numbers of the lists that the page merges; see `core/group/listing.ts`. */
  readonly lists: readonly number[];
  /** `oldest`: all of the lists hold open records. */
  readonly order: "oldest" | "newest";
  /** Only lines that are at least this old, in milliseconds. 0: all. */
  readonly olderThanMs: number;
  /** Only lines after this one, in the order of the page. */
  readonly after?: ListPosition | undefined;
  /** How many lines to look at: 1 to 100. The page may hold fewer items, because a record may be gone. */
  readonly limit: number;
}

/** A record as a page shows it. */
export interface ListedRecord extends Brief {
  readonly id: string;
}

/** One page. */
export interface ListAnswer {
  readonly items: readonly ListedRecord[];
  /** The position of the last line; absent when no line follows. */
  readonly next?: ListPosition;
  /** The time at which the index had this content, in milliseconds since 1970 by the backend's clock. */
  readonly asOfMs: number;
  /** The time of the read, if the index may be later than that. Ages count from it. */
  readonly readAtMs?: number | undefined;
}

/** How many records a list of the index holds. */
export interface ListCount {
  readonly machine: ListedMachine;
  readonly list: number;
  /** At most `MAX_COUNTED`. */
  readonly count: number;
  /** The instant of the oldest line. */
  readonly oldestAtMs: number;
}

/** The counts of an index. Lists without a line are absent. */
export interface IndexCounts {
  readonly lists: readonly ListCount[];
  /** The time at which the index had this content, in milliseconds since 1970 by the backend's clock. */
  readonly asOfMs: number;
}

/** How many lines of one list are counted. A count of all of them would cost as many reads as there are groups. */
export const MAX_COUNTED = 1_000;

/** A line that an index returned. */
export interface FoundLine extends IndexLine {
  readonly id: string;
}

/** Compares two lines of one page: negative when `a` comes first. */
export function compareLines(a: ListPosition, b: ListPosition, order: ListQuery["order"]): number {
  const ascending = a.atMs - b.atMs || compareBytes(a.id, b.id);
  return order === "oldest" ? ascending : -ascending;
}

/** Compares two texts as their UTF-8 compares, byte by byte. */
export function compareBytes(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return utf8Rank(x) - utf8Rank(y);
  }
  return a.length - b.length;
}

/** A surrogate belongs to a character after all others. */
function utf8Rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

/** The output of the transition `brief`. */
export interface BriefOutput {
  readonly brief?: Brief;
  readonly line?: IndexLine;
}

/**
 * Returns the items of a page: the records that are where the index lists them, as they are now. A record that has moved to
 * another list since is not on the page. `onStale` receives the other lines, with the line that the record should have.
 */
export async function itemsOf<Found extends ListPosition>(
  { lines, lists }: { readonly lines: readonly Found[]; readonly lists: readonly number[] },
  read: (id: string) => BriefOutput | Promise<BriefOutput>,
  onStale: (found: Found, line: IndexLine | undefined) => void = () => {},
): Promise<ListedRecord[]> {
  const outputs = await Promise.all(lines.map(({ id }) => read(id)));
  return lines.flatMap((found, i) => {
    const { brief, line } = outputs[i] ?? {};
    const isThere = line !== undefined && line.atMs === found.atMs && lists.includes(line.list);
    if (brief !== undefined && isThere) return [{ ...brief, id: found.id }];
    onStale(found, line);
    return [];
  });
}

/** Returns a page of items, with the position of the last line if others follow. */
export function answerOf(
  items: readonly ListedRecord[],
  page: Pick<ListAnswer, "asOfMs" | "readAtMs"> & { readonly lines: readonly ListPosition[]; readonly isCut: boolean },
): ListAnswer {
  const last = page.lines.at(-1);
  const next = page.isCut && last !== undefined ? { next: { atMs: last.atMs, id: last.id } } : {};
  return { items, ...next, asOfMs: page.asOfMs, readAtMs: page.readAtMs };
}
