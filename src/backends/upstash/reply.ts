/** A script's reply. */
export interface ScriptReply {
  /** Somebody should wake the record: `fresh`, since this very step made it due, or `still`. */
  readonly due: "fresh" | "still" | undefined;
  readonly output: object;
}

/** Reads one mark and JSON; `undefined` for anything else. */
export function readReply(reply: unknown): ScriptReply | undefined {
  if (typeof reply !== "string") return undefined;
  const mark = reply[0];
  if (mark !== "!" && mark !== "+" && mark !== "=") return undefined;
  let output: unknown;
  try {
    output = JSON.parse(reply.slice(1), emptyAsArray);
  } catch {
    return undefined;
  }
  if (typeof output !== "object" || output === null || Array.isArray(output)) return undefined;
  return { due: mark === "!" ? "fresh" : mark === "+" ? "still" : undefined, output };
}

/** Lua cannot tell an empty list from an empty object, and writes `{}`. No output holds an empty object, but may be one. */
function emptyAsArray(key: string, value: unknown): unknown {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return isEmpty && key !== "" ? [] : value;
}
