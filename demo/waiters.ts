import { setTimeout as pause } from "node:timers/promises";
import type { CompletionTracker, GroupStatus } from "../src/index.js";
import { withPatience } from "./patience.js";
import type { Told } from "./tally.js";
import { preciseNow } from "./work.js";

const LOOK_EVERY_MS = 200;
const LOOKS_AT_ONCE = 8;

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Waits for the end of one group, over a server that may be killed meanwhile. */
export async function waitFor(tracker: CompletionTracker, id: string, options: WaitOptions): Promise<Told> {
  const { timeoutMs, signal } = options;
  const status = await withPatience(() => tracker.wait(id, options), { patienceMs: timeoutMs, signal });
  if (status === null) throw new Error(`The group ${id} is unknown.`);
  return { state: status.state, atMs: preciseNow() };
}

/** The status of every group, each as it stands once its delivery is settled, or when the signal says stop. */
export async function settledStatuses(
  tracker: CompletionTracker,
  ids: readonly string[],
  { timeoutMs, signal }: WaitOptions,
): Promise<Map<string, GroupStatus | null>> {
  const statuses = new Map<string, GroupStatus | null>();
  const left = ids.values();
  const look = async (): Promise<void> => {
    for (const id of left) {
      for (;;) {
        const status = await withPatience(() => tracker.status(id), { patienceMs: timeoutMs, signal }).catch(
          nothingKnown,
        );
        statuses.set(id, status);
        if (status?.delivery.state !== "pending" || signal.aborted) break;
        await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  };
  await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look));
  return statuses;
}

/** A status that could not be had in time fails the run as a missing one does. */
function nothingKnown(): null {
  return null;
}
