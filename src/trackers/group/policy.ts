import type { Policy } from "../../core/group/record.js";
import { CoordinationError } from "../../errors.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkInteger, checkNumber } from "../../lib/validate.js";
import { MAX_TOTAL } from "./task.js";

/**
 * When a group ends before all of its tasks are done. The first limit that is reached decides. Without a policy the group
 * completes when all tasks have succeeded or failed.
 */
export interface CompletionPolicy {
  /**
   * The group completes as soon as this many tasks have succeeded. A group without `open` fails as soon as too few tasks are
   * left for that; an `open` group fails for this once it is sealed and no task is open. 1 or more, and at most the number of
   * tasks of a group without `open`.
   */
  readonly minSuccessful?: number | undefined;
  /** The group fails as soon as more tasks than this have failed. 0: at the first failure. */
  readonly toleratedFailureCount?: number | undefined;
  /**
   * The group fails when more than this percentage of its tasks have failed: 0 to 100, with up to four decimals. Needs the
   * final number of tasks: in an open group it is decided at the end.
   */
  readonly toleratedFailurePercentage?: number | undefined;
}

const FIELDS: Names<CompletionPolicy> = {
  minSuccessful: true,
  toleratedFailureCount: true,
  toleratedFailurePercentage: true,
};
/** A percentage is stored as an integer: 1 percent is 10,000. */
const PARTS = 10_000;

/**
 * Checks a policy. `total` is `undefined` where more tasks may be announced.
 *
 * @throws {CoordinationError} `invalid_input` that names the field.
 */
export function checkPolicy(policy: CompletionPolicy | undefined, total: number | undefined): Policy | undefined {
  if (policy === undefined) return undefined;
  checkOptions(policy ?? null, FIELDS, "complete");
  const { minSuccessful, toleratedFailureCount, toleratedFailurePercentage } = policy;
  const checked: Policy = {};
  if (minSuccessful !== undefined) {
    checkInteger(minSuccessful, "complete.minSuccessful", 1, MAX_TOTAL);
    if (total !== undefined && minSuccessful > total) {
      throw new CoordinationError(
        "invalid_input",
        `complete.minSuccessful must be at most ${total}, the number of tasks`,
      );
    }
    checked.minSuccessful = minSuccessful;
  }
  if (toleratedFailureCount !== undefined) {
    checkInteger(toleratedFailureCount, "complete.toleratedFailureCount", 0, MAX_TOTAL);
    checked.toleratedFailureCount = toleratedFailureCount;
  }
  if (toleratedFailurePercentage !== undefined) {
    checkNumber(toleratedFailurePercentage, "complete.toleratedFailurePercentage", 0, 100);
    checked.toleratedFailurePpm = Math.round(toleratedFailurePercentage * PARTS);
  }
  if (Object.keys(checked).length === 0) {
    throw new CoordinationError(
      "invalid_input",
      "complete must have minSuccessful, toleratedFailureCount or toleratedFailurePercentage",
    );
  }
  return checked;
}
