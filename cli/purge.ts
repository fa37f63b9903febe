import { CompletionTracker, type Coordinator, RequestWaitTracker } from "../src/index.js";

/** The numbers of groups and requests that a walk over the whole index found. */
export interface Walk {
  readonly groups: number;
  readonly requests: number;
  /** When the index had the oldest of the pages. */
  readonly asOfMs: number;
}

/** Counts the groups and requests that the index lists. */
export function countListed(coordinator: Coordinator, signal: AbortSignal): Promise<Walk> {
  return walk(coordinator, signal, async ({ ids }) => ids.length);
}

/**
 * Removes the groups and requests that the index lists, a page at a time. Counts those that were there: the index may still list
 * some that an earlier walk has removed.
 */
export function removeListed(coordinator: Coordinator, signal: AbortSignal): Promise<Walk> {
  return walk(coordinator, signal, async ({ ids, remove }) => {
    const removed = await Promise.all(ids.map(remove));
    return removed.filter(Boolean).length;
  });
}

/** A page of ids, and the call that removes one of them. */
interface IdPage {
  readonly ids: readonly string[];
  readonly next: string | null;
  readonly asOfMs: number;
  remove(id: string): Promise<boolean>;
}

interface PageQuery {
  readonly state: "open" | "ended";
  readonly after: string | undefined;
  readonly signal: AbortSignal;
}

type Act = (page: IdPage) => Promise<number>;

async function walk(coordinator: Coordinator, signal: AbortSignal, act: Act): Promise<Walk> {
  const groups = new CompletionTracker(coordinator);
  const requests = new RequestWaitTracker(coordinator, { stages: "any" });
  const ofGroups = await walkPages(signal, act, async (query) => {
    const { items, ...page } = await groups.list(query);
    return { ...page, ids: items.map(({ groupId }) => groupId), remove: (id) => groups.remove(id, { signal }) };
  });
  const ofRequests = await walkPages(signal, act, async (query) => {
    const { items, ...page } = await requests.list(query);
    return { ...page, ids: items.map(({ requestId }) => requestId), remove: (id) => requests.remove(id, { signal }) };
  });
  return {
    groups: ofGroups.count,
    requests: ofRequests.count,
    asOfMs: Math.min(ofGroups.asOfMs, ofRequests.asOfMs),
  };
}

async function walkPages(
  signal: AbortSignal,
  act: Act,
  pageOf: (query: PageQuery) => Promise<IdPage>,
): Promise<{ readonly count: number; readonly asOfMs: number }> {
  let [count, asOfMs] = [0, Number.POSITIVE_INFINITY];
  // A record that ends between the two lists is in the second one.
  for (const state of ["open", "ended"] as const) {
    let after: string | null | undefined;
    do {
      const page = await pageOf({ state, after: after ?? undefined, signal });
      count += await act(page);
      asOfMs = Math.min(asOfMs, page.asOfMs);
      after = page.next;
    } while (after !== null);
  }
  return { count, asOfMs };
}
