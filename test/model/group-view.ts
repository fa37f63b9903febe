import { type Counts, countOf, type Generation, isSealed, leftOf, type State, totalOf } from "./group-record.js";

/** What a status says, but for the clocks of the backend, the delivery and the version. */
export interface View {
  readonly generation: number;
  readonly state: State;
  readonly sealed: boolean;
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly remaining: number;
  readonly errors: readonly { readonly taskId?: string; readonly stage?: string; readonly message: string }[];
  readonly errorCount: number;
  readonly stages: readonly (Counts & { readonly stage: string })[];
  readonly metadata: unknown;
  readonly reason: string | undefined;
  readonly completionReason: string | undefined;
}

/** How many errors a status shows. */
const SHOWN_ERRORS = 20;

export function viewOf(generation: Generation): View {
  const { failures, stages, hasStages, spec } = generation;
  const shown = failures.filter(({ isGone }) => !isGone).slice(0, SHOWN_ERRORS);
  return {
    generation: generation.number,
    state: generation.state,
    sealed: isSealed(generation),
    total: totalOf(generation),
    succeeded: countOf(generation, "succeeded"),
    failed: countOf(generation, "failed"),
    remaining: leftOf(generation),
    errors: shown.map(({ task, stage, message }) => ({
      ...(task === undefined ? {} : { taskId: task.id }),
      ...(stage === undefined ? {} : { stage }),
      message,
    })),
    errorCount: failures.length,
    stages: hasStages ? [...stages].map(([stage, counts]) => ({ ...counts, stage })) : [],
    metadata: spec.metadata ?? null,
    reason: generation.reason,
    completionReason: generation.completionReason,
  };
}
