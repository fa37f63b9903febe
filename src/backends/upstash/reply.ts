/** A script's reply. */
export interface ScriptReply {
  /** Somebody should wake the record: `fresh`, since this very step made it due, or `still`. */
  readonly due: "fresh" | "still" | undefined;
  readonly output: object;
  /** The step notified waiters, and this is what the message brought; "" for a message that brought nothing. */
  readonly news: string | undefined;
}

/** Reads one mark, JSON, and what follows a line break; `undefined` for anything else. */
export function readReply(reply: unknown): ScriptReply | undefined {
  if (typeof reply !== "string") return undefined;
  const mark = reply[0];
  if (mark !== "!" && mark !== "+" && mark !== "=") return undefined;
  // JSON writes a line break within a text as an escape.
  const end = reply.indexOf("\n");
  const output = readOutput(end < 0 ? reply.slice(1) : reply.slice(1, end));
  const news = end < 0 ? undefined : reply.slice(end + 1);
  return output && { due: mark === "!" ? "fresh" : mark === "+" ? "still" : undefined, output, news };
}

/** Reads an output that Lua wrote; `undefined` for anything else. */
export function readOutput(text: string): object | undefined {
  try {
    const output: unknown = JSON.parse(text, emptyAsArray);
    return typeof output === "object" && output !== null && !Array.isArray(output) ? output : undefined;
  } catch {
    return undefined;
  }
}

/** Lua cannot tell an empty list from an empty object, and writes `{}`. No output holds an empty object, but may be one. */
function emptyAsArray(key: string, value: unknown): unknown {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return isEmpty && key !== "" ? [] : value;
}
