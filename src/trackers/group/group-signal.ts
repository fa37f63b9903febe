import type { GroupStatus } from "../../delivery/group-status.js";
import type { GroupReader } from "./reader.js";

/** A signal that aborts when a group ends. Its reason is a `GroupEnded`. */
export interface GroupSignal extends AbortSignal {
  /** Stops watching the group. Call it when the work is done. */
  dispose(): void;
}

/** The `reason` of a `GroupSignal` that has aborted. Work that got the signal, such as a `fetch`, rejects with it. */
export class GroupEnded extends Error {
  override readonly name = "GroupEnded";
  /** The status at the end; null when the group was restarted, or has expired. */
  readonly status: GroupStatus | null;

  constructor(groupId: string, status: GroupStatus | null) {
    super(`the group ${groupId} has ended`);
    this.status = status;
  }
}

/** Returns a signal for the generation that is seen first. */
export function groupSignal(reader: GroupReader, groupId: string): GroupSignal {
  const ended = new AbortController();
  const disposed = new AbortController();
  abortAtEnd(reader, groupId, { ended, signal: disposed.signal }).catch(() => {
    // Disposed of, or the backend refuses to be watched: the work goes on, and its acks say `late`.
  });
  return Object.assign(ended.signal, { dispose: () => disposed.abort() });
}

async function abortAtEnd(
  reader: GroupReader,
  groupId: string,
  { ended, signal }: { readonly ended: AbortController; readonly signal: AbortSignal },
): Promise<void> {
  const seen = await reader.progress(groupId, { signal }).next();
  if (seen.done === true) return;
  const status = await reader.endOf(groupId, seen.value.generation, signal);
  ended.abort(new GroupEnded(groupId, status ?? null));
}
