import type { Coordinator } from "../../coordinator.js";
import { RequestWaitTracker } from "../../trackers/request-wait.js";
import type { Bench } from "../harness.js";

/** Shared by the cases about requests. */

const STAGES = ["parse", "embed"] as const;
export type Stage = (typeof STAGES)[number];

/** A stage without any count. */
export const NOTHING = { total: 0, open: 0, processed: 0, requeueCount: 0, errorCount: 0, errors: [] };

export function requestTracker(
  t: Bench,
  { ttlSec = 3_600, on = t.coordinator() }: { readonly ttlSec?: number; readonly on?: Coordinator } = {},
): RequestWaitTracker<Stage> {
  return new RequestWaitTracker(on, { stages: STAGES, ttlSec });
}

/** A request with open tasks in its first stage, and its tracker. */
export async function pendingRequest(t: Bench, taskIds: readonly string[], ttlSec = 3_600) {
  const requests = requestTracker(t, { ttlSec });
  const id = t.id("request");
  await requests.register(id);
  if (taskIds.length > 0) await requests.add(id, "parse", taskIds);
  return { requests, id };
}

/** Prevents an unhandled rejection while the case does something else. */
export function held<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}
