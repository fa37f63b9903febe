import { COMPLETIONS } from "./completion-operations.js";
import type { Operation } from "./operation.js";
import { PRIMITIVES } from "./primitive-operations.js";
import { REQUESTS } from "./request-operations.js";
import { SMALL_THINGS } from "./small-operations.js";
import { TURNS } from "./turn-operations.js";

/** Every public operation, in each use that matters to a fault. */
export const OPERATIONS: readonly Operation[] = [...PRIMITIVES, ...COMPLETIONS, ...REQUESTS, ...SMALL_THINGS, ...TURNS];
