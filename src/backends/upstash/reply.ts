/** A script's reply. */
export interface ScriptReply {
  /** Set when the record is due: `fresh` when this call made it due, `still` when it was due before. */
  readonly due: "fresh" | "still" | undefined;
  readonly output: object;
  /** The text of the message that this call published to waiters, "" for one without text; `undefined` when it published none. */
  readonly news: string | undefined;
}

/** Reads a reply: a mark, a JSON text, and the news after a line break. Returns `undefined` for anything else. */
export function readReply(reply: unknown): ScriptReply | undefined {
  if (typeof reply !== "string") return undefined;
  const mark = reply[0];
  if (mark !== "!" && mark !== "+" && mark !== "=") return undefined;
  // JSON escapes line breaks within texts.
  const end = reply.indexOf("\n");
  const output = readOutput(end < 0 ? reply.slice(1) : reply.slice(1, end));
  const news = end < 0 ? undefined : reply.slice(end + 1);
  return output && { due: mark === "!" ? "fresh" : mark === "+" ? "still" : undefined, output, news };
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
