import type { Coordinator, GroupList, OnEvent, RequestListOptions } from "../../../src/index.js";

/** Where an operation is tried: an id of its own, and a client that sees it. */
export interface Place {
  readonly c: Coordinator;
  readonly id: string;
  /** Where this id's webhooks go, and how many have come. */
  readonly hook: string;
  hooked(): number;
  /** Has what the operation set off come to its end: deliveries, above all. */
  settle(): Promise<void>;
  /** How long a wait lasts at most. */
  readonly waitMs: number;
  /** What one step leaves for the next. */
  readonly memo: Record<string, number>;
}

/** A public operation: what prepares it, what it does, and how to see what it left behind. */
export interface Operation {
  /** The class and the method. */
  readonly method: string;
  /** What is special about this use of it. */
  readonly when?: string;
  /** It writes nothing: under every fault, its outcome says so. */
  readonly reads?: true;
  /** It waits: a request that is never answered takes the whole of its time. */
  readonly waits?: true;
  /** When its request fails, it sends another, which frees what the first may have taken. */
  readonly givesBack?: true;
  /** The server counts each copy that arrives. So the client sends it once, and the caller receives the error of one fault. */
  readonly sentOnce?: true;
  /** From this request on, counted from 0, others make good what is lost: its whole effect comes, whatever happens. */
  readonly healsFrom?: number;
  /** The state for a while when the caller leaves between two requests. */
  readonly halfway?: unknown;
  prepare?(place: Place): Promise<unknown>;
  run(place: Place): Promise<unknown>;
  /** What is there now. May change it: it is called once. */
  observe(place: Place): Promise<unknown>;
  /** What others do before a late copy arrives. */
  meanwhile?(place: Place): Promise<unknown>;
}

export function nameOf({ method, when }: Operation): string {
  return when === undefined ? method : `${method} (${when})`;
}

/** Hears of a last step that failed after the work was done, which a call does not throw, and throws it all the same. */
export async function outspoken<T>(call: (onEvent: OnEvent) => Promise<T>): Promise<T> {
  const failures: unknown[] = [];
  const value = await call((event) => void ("error" in event && failures.push(event.error)));
  if (failures.length > 0) throw failures[0];
  return value;
}

/** What a list is made of. What it holds depends on other operations that share the index. */
export async function listed(tracker: {
  list(options: RequestListOptions): Promise<GroupList<unknown>>;
}): Promise<unknown> {
  const { items, asOfMs } = await tracker.list({ delivery: "dead", olderThanSec: "1h" });
  return [items, asOfMs];
}

export type Outcome = { readonly value: unknown } | { readonly error: unknown };

export async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await work };
  } catch (error) {
    return { error };
  }
}
