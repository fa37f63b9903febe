import { MAX_STAGES } from "../../core/group/stages.js";
import { CoordinationError } from "../../errors.js";
import { checkId, checkText, MAX_STAGE_BYTES } from "../../lib/validate.js";

/** @throws {CoordinationError} `invalid_input` unless they are 1 to 64 different names of 1 to 64 bytes. */
export function checkStages<S extends string>(stages: readonly S[]): readonly S[] {
  if (!Array.isArray(stages) || stages.length === 0 || stages.length > MAX_STAGES) {
    throw new CoordinationError("invalid_input", `stages must be a list of 1 to ${MAX_STAGES} names`);
  }
  for (const [i, stage] of stages.entries()) {
    checkId(stage, `stages[${i}]`);
    checkText(stage, `stages[${i}]`, MAX_STAGE_BYTES);
    if (stages.indexOf(stage) < i) throw new CoordinationError("invalid_input", `stages[${i}] repeats an earlier one`);
  }
  return [...stages];
}
