import type { RequestView } from "../core/request/record.js";

/** The state of a request. `pending` until a root is registered and none is open, or until it is sealed without roots. */
export type RequestState = "pending" | "complete" | "unknown";

/** The counts of one stage. */
export interface StageStatus {
  readonly processed: number;
  readonly requeueCount: number;
  readonly errorCount: number;
  /** The first 100 errors of the request are kept, each up to 1 KB; `errorCount` counts them all. */
  readonly errors: readonly { readonly message: string }[];
}

/** The counts of a request by stage: the tracker's own stages, and others that calls have counted in. */
export type QueueStatus<S extends string = string> = { readonly [Stage in S]: StageStatus };

export function queueStatus<S extends string>(stages: readonly S[], view: RequestView): QueueStatus<S> {
  const byStage = new Map<string, StageStatus & { readonly errors: { message: string }[] }>();
  for (const stage of stages) byStage.set(stage, { processed: 0, requeueCount: 0, errorCount: 0, errors: [] });
  for (const { name, processed, requeueCount, errorCount } of view.stages) {
    byStage.set(name, { processed, requeueCount, errorCount, errors: [] });
  }
  for (const { stage, message } of view.errors) byStage.get(stage)?.errors.push({ message });
  // Entries define their keys: a stage named `__proto__` stays a stage.
  return Object.fromEntries(byStage) as unknown as QueueStatus<S>;
}
