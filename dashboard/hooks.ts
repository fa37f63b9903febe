import { useRef } from "hono/jsx/dom";
import { useEffect, useState } from "./lifetime.js";

/** A value that is loaded again and again. */
export interface Loaded<Value> {
  readonly value: Value | undefined;
  /** Why the last load failed. */
  readonly fault: unknown;
  reload(): void;
}

/**
 * Loads a value, and again whenever `key` changes or `everyMs` is over. The last value stays while a newer one is loaded, and
 * when that fails. A hidden page loads nothing by the clock.
 */
export function useLoaded<Value>(
  load: (signal: AbortSignal) => Promise<Value>,
  { key, everyMs }: { readonly key: string; readonly everyMs?: number },
): Loaded<Value> {
  const [state, setState] = useState<{ value?: Value; fault?: unknown }>({});
  const [turn, setTurn] = useState(0);
  const reload = (): void => setTurn((last) => last + 1);
  useEffect(() => {
    const ended = new AbortController();
    load(ended.signal).then(
      (value) => ended.signal.aborted || setState({ value }),
      (fault) => ended.signal.aborted || setState((last) => ({ ...last, fault })),
    );
    return () => ended.abort();
  }, [key, turn]);
  useEffect(() => {
    if (everyMs === undefined) return;
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return { value: state.value, fault: state.fault, reload };
}

/** A page of a list. */
interface Page<Item, Cursor> {
  readonly items: readonly Item[];
  readonly next: Cursor | null;
  readonly asOfMs?: number;
}

/** Pages that are loaded one after another. */
export interface Pages<Item, Cursor> {
  readonly items: readonly Item[];
  /** Where the next page begins; null after the last one. */
  readonly next: Cursor | null;
  /** The first page: undefined before it is there, null where there is nothing to list. */
  readonly first: Page<Item, Cursor> | null | undefined;
  /** Why the last load failed. */
  readonly fault: unknown;
  readonly isLoading: boolean;
  more(): void;
  /** Repeats the load that failed. */
  again(): void;
}

interface PagesState<Item, Cursor> extends Omit<Pages<Item, Cursor>, "more" | "again"> {
  readonly list: string;
  readonly count: number;
}

/**
 * Loads the first page of a list, and the further ones by `more`. Loads the first page again whenever `version` changes, unless
 * a person has gone on to a further page.
 */
export function usePages<Item, Cursor>(
  load: (after: Cursor | undefined) => Promise<Page<Item, Cursor> | null>,
  { list, version = "" }: { readonly list: string; readonly version?: string },
): Pages<Item, Cursor> {
  const begun = { items: [], next: null, first: undefined, fault: undefined, isLoading: true, count: 0, list };
  const [kept, setState] = useState<PagesState<Item, Cursor>>(begun);
  const state = kept.list === list ? kept : begun;
  /** The last call: an answer to an earlier one comes too late. */
  const calls = useRef(0);
  const run = (before: PagesState<Item, Cursor>, after: Cursor | undefined): void => {
    const call = (calls.current ?? 0) + 1;
    calls.current = call;
    setState({ ...before, fault: undefined, isLoading: true });
    load(after).then(
      (page) => {
        if (calls.current !== call) return;
        const items = after === undefined ? [] : before.items;
        const first = after === undefined ? page : before.first;
        const all = [...items, ...(page?.items ?? [])];
        const count = after === undefined ? 1 : before.count + 1;
        setState({ list, items: all, next: page?.next ?? null, first, count, fault: undefined, isLoading: false });
      },
      (fault) => calls.current === call && setState({ ...before, fault, isLoading: false }),
    );
  };
  useEffect(() => {
    if (state.count < 2) run(state, undefined);
  }, [list, version]);
  return {
    ...state,
    more: () => {
      if (state.next !== null && !state.isLoading) run(state, state.next);
    },
    again: () => run(state, state.first === undefined ? undefined : (state.next ?? undefined)),
  };
}

/** Returns the time now, anew every `everyMs`. */
export function useNow(everyMs: number): number {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return nowMs;
}

/** Returns a value that changes at most once in `everyMs`. The newest one counts. */
export function useCalm<Value>(value: Value, everyMs: number): Value {
  const [calm, setCalm] = useState({ value, atMs: 0 });
  useEffect(() => {
    if (value === calm.value) return;
    const set = (): void => setCalm({ value, atMs: Date.now() });
    const timer = setTimeout(set, Math.max(0, calm.atMs + everyMs - Date.now()));
    return () => clearTimeout(timer);
  }, [value]);
  return calm.value;
}
