import type { RecordEvent } from "../../core/store.js";

/** A script's reply. */
export interface ScriptReply {
  /** Set when the record is due: `fresh` when this call made it due, `still` when it was due before. */
  readonly due: "fresh" | "still" | undefined;
  readonly output: object;
  /** The changes of state that this call made. */
  readonly events: readonly RecordEvent[];
  /** The text of the message that this call published to waiters, "" for one without text; `undefined` when it published none. */
  readonly news: string | undefined;
}

/** Reads a reply: a mark, a JSON text, the events after a tab, and the news after a line break. Returns `undefined` for anything else. */
export function readReply(reply: unknown): ScriptReply | undefined {
  if (typeof reply !== "string") return undefined;
  const mark = reply[0];
  if (mark !== "!" && mark !== "+" && mark !== "=") return undefined;
  // JSON escapes line breaks and tabs within texts.
  const end = reply.indexOf("\n");
  const [text = "", told] = (end < 0 ? reply : reply.slice(0, end)).slice(1).split("\t");
  const output = readOutput(text);
  const news = end < 0 ? undefined : reply.slice(end + 1);
  const due = mark === "!" ? "fresh" : mark === "+" ? "still" : undefined;
  return output && { due, output, events: eventsOf(told), news };
}

/** Losing an event is no reason to fail a call that was applied. */
function eventsOf(text = "[]"): readonly RecordEvent[] {
  try {
    return JSON.parse(text) as RecordEvent[];
  } catch {
    return [];
  }
}

/** Parses an output that Lua wrote; returns `undefined` for anything else. */
export function readOutput(text: string): object | undefined {
  try {
    const output: unknown = JSON.parse(text, emptyAsArray);
    return typeof output === "object" && output !== null && !Array.isArray(output) ? output : undefined;
  } catch {
    return undefined;
  }
}

/** Lua writes an empty list as `{}`, like an empty object. Replaces nested `{}` by `[]`: no output holds an empty object. */
function emptyAsArray(key: string, value: unknown): unknown {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return isEmpty && key !== "" ? [] : value;
}

/** Returns the topics of a notification; empty: it is for all waiters. See `newsOf` in `lua/script.ts`. */
export function topicsOf(news: string | undefined): readonly string[] {
  return news?.[0] === "[" ? (JSON.parse(news) as string[]) : [];
}
