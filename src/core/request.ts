import { completion, expected as expectedOfGroup } from "./group/completion.js";

/** The transitions of a request: those of a group, in a record of its own kind. Request `x` and group `x` never meet. */
export const request = completion;

export const expected = expectedOfGroup;
