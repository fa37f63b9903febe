import type { Snapshot } from "../snapshot.js";
import { idWithFlags } from "../text/printable.js";

/** Returns the arguments by which a printed command names a group or a request. */
export function subjectOf({ kind, id }: Pick<Snapshot, "kind" | "id">, ...flags: readonly string[]): string {
  return idWithFlags(id, ...(kind === "request" ? ["--request"] : []), ...flags);
}
