import { type CompletionReason, type GroupHead, isSealed, leftOf } from "./record.js";

/** How a group ends, once its counts say so. */
export interface Decision {
  state: "completed" | "failed";
  reason: CompletionReason;
}

const COMPLETED: Decision = { state: "completed", reason: "all_completed" };
const ENOUGH: Decision = { state: "completed", reason: "min_successful_reached" };
const EXCEEDED: Decision = { state: "failed", reason: "failure_tolerance_exceeded" };

/**
 * Decides from the counts alone whether a group ends. The absolute limits hold after every task (`isCallOver` false). The
 * others need the final total: they hold once the call's tasks and their `next` are counted.
 */
export function decide(head: GroupHead, isCallOver: boolean): Decision | undefined {
  const { total, succeeded, failed } = head;
  const left = leftOf(head);
  const isTotalFinal = isCallOver && (head.grows !== true || (head.sealed === true && left <= 0));
  const { toleratedFailureCount, toleratedFailurePpm, minSuccessful } = head.policy ?? {};
  if (toleratedFailureCount !== undefined && failed > toleratedFailureCount) return EXCEEDED;
  if (toleratedFailurePpm !== undefined && isTotalFinal && failed * 1_000_000 > toleratedFailurePpm * total)
    return EXCEEDED;
  if (minSuccessful !== undefined && succeeded >= minSuccessful) return ENOUGH;
  if (minSuccessful !== undefined && isTotalFinal && succeeded + left < minSuccessful) return EXCEEDED;
  return isCallOver && isSealed(head) && left <= 0 ? COMPLETED : undefined;
}
