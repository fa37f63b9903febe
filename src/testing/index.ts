export { ConformanceFailure } from "./assert.js";
export { conformanceCases } from "./conformance.js";
export {
  delaying,
  duplicating,
  type FaultPlan,
  type FaultScope,
  losingReplies,
  refusing,
  seededRandom,
} from "./faults.js";
export type { Capability, ConformanceCase, Harness } from "./harness.js";
export { ManualClock, settle } from "./manual-clock.js";
export { type CasePayloads, caseHandlers, type RecordedDelivery } from "./recording.js";
