import {
  compareLines,
  type IndexCounts,
  type ListCount,
  type ListQuery,
  MAX_COUNTED,
} from "../../../runtime/listing.js";
import type { IndexPage } from "../protocol.js";

/** A page with its time. */
export interface TimedPage extends IndexPage {
  readonly asOfMs: number;
  readonly readAtMs: number;
}

/** Returns the page of an index from the pages of its shards, each of the same query. No line is in two of them. */
export function mergedPage([only, ...others]: readonly [TimedPage, ...TimedPage[]], query: ListQuery): TimedPage {
  if (others.length === 0) return only;
  const pages = [only, ...others];
  const lines = pages.flatMap((page) => page.lines).sort((a, b) => compareLines(a, b, query.order));
  return {
    lines: lines.slice(0, query.limit),
    isCut: lines.length > query.limit || pages.some(({ isCut }) => isCut),
    asOfMs: Math.min(...pages.map(({ asOfMs }) => asOfMs)),
    readAtMs: only.readAtMs,
  };
}

/** Returns the counts of an index from those of its shards. */
export function mergedCounts([only, ...others]: readonly [IndexCounts, ...IndexCounts[]]): IndexCounts {
  const lists = new Map<string, ListCount>();
  for (const each of [only, ...others].flatMap((counts) => counts.lists)) {
    const key = `${each.machine}:${each.list}`;
    const other = lists.get(key);
    const count = Math.min(each.count + (other?.count ?? 0), MAX_COUNTED);
    lists.set(key, { ...each, count, oldestAtMs: Math.min(each.oldestAtMs, other?.oldestAtMs ?? each.oldestAtMs) });
  }
  return { lists: [...lists.values()], asOfMs: Math.min(only.asOfMs, ...others.map(({ asOfMs }) => asOfMs)) };
}
