import type { IndexLine } from "../../core/store.js";
import { compareLines, type FoundLine, type ListPosition, type ListQuery } from "../../runtime/listing.js";

/** A line in memory. A removed line stays in its list until the list is compacted. */
export interface MemoryLine extends FoundLine {
  isGone: boolean;
}

/** Lists with fewer removed lines are not compacted. */
const COMPACT_FROM = 64;

/** The lines of one list, the oldest first. Most lines are newer than all others, so adding one is cheap. */
class SortedLines {
  #lines: MemoryLine[] = [];
  #gone = 0;

  get isEmpty(): boolean {
    return this.#lines.length === this.#gone;
  }

  add(line: MemoryLine): void {
    const last = this.#lines.at(-1);
    if (last === undefined || compareLines(last, line, "oldest") <= 0) this.#lines.push(line);
    else this.#lines.splice(this.#countBefore(line), 0, line);
  }

  remove(line: MemoryLine): void {
    line.isGone = true;
    this.#gone++;
    if (this.#gone < COMPACT_FROM || 2 * this.#gone < this.#lines.length) return;
    this.#lines = this.#lines.filter(({ isGone }) => !isGone);
    this.#gone = 0;
  }

  /** Returns the first `count` lines of a page. */
  page({ order, after, maxAtMs, count }: SortedPage): MemoryLine[] {
    const found: MemoryLine[] = [];
    const step = order === "oldest" ? 1 : -1;
    // No id is empty, so this position is before all lines that are too young.
    const tooYoung = this.#countBefore({ atMs: maxAtMs + 1, id: "" });
    let at = order === "oldest" ? 0 : tooYoung - 1;
    if (after !== undefined) {
      const before = this.#countBefore(after);
      const isThere = this.#lines[before]?.atMs === after.atMs && this.#lines[before]?.id === after.id;
      at = order === "oldest" ? before + (isThere ? 1 : 0) : Math.min(at, before - 1);
    }
    for (; at >= 0 && at < tooYoung && found.length < count; at += step) {
      const line = this.#lines[at];
      if (line?.isGone === false && (after === undefined || compareLines(line, after, order) > 0)) found.push(line);
    }
    return found;
  }

  /** Returns how many lines are before a position. */
  #countBefore(position: ListPosition): number {
    let [low, high] = [0, this.#lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareLines(this.#lines[middle] as MemoryLine, position, "oldest") < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface SortedPage extends Pick<ListQuery, "order" | "after"> {
  readonly maxAtMs: number;
  readonly count: number;
}

/** The index of all machines of a memory backend. */
export class LineIndex {
  readonly #lists = new Map<string, SortedLines>();

  /** Adds a line, and returns it for `remove`. */
  add(machine: string, id: string, { list, atMs }: IndexLine): MemoryLine {
    const name = `${machine}:${list}`;
    const lines = this.#lists.get(name) ?? new SortedLines();
    this.#lists.set(name, lines);
    const line: MemoryLine = { list, atMs, id, isGone: false };
    lines.add(line);
    return line;
  }

  remove(machine: string, line: MemoryLine): void {
    const name = `${machine}:${line.list}`;
    const lines = this.#lists.get(name);
    lines?.remove(line);
    if (lines?.isEmpty) this.#lists.delete(name);
  }

  /** Returns the lines of a page, and whether others follow. */
  page(query: ListQuery, nowMs: number): { readonly lines: readonly FoundLine[]; readonly isCut: boolean } {
    const { machine, lists, order, after, olderThanMs, limit } = query;
    const wanted = { order, after, maxAtMs: nowMs - olderThanMs, count: limit + 1 };
    const found = lists.flatMap((list) => this.#lists.get(`${machine}:${list}`)?.page(wanted) ?? []);
    found.sort((a, b) => compareLines(a, b, order));
    return { lines: found.slice(0, limit), isCut: found.length > limit };
  }
}
