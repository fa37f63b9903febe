import { BUGS, type Bug } from "./bugs.js";
import { INDEX_BUGS } from "./index-bugs.js";
import { REDELIVERY_BUGS } from "./redelivery-bugs.js";
import { TRACE_BUGS } from "./trace-bugs.js";
import { TURN_BUGS } from "./turn-bugs.js";

/** Every bug that is planted. A simulator must catch each: that of turns those of turns, that of groups all others. */
export const ALL_BUGS: readonly Bug[] = [...BUGS, ...INDEX_BUGS, ...REDELIVERY_BUGS, ...TRACE_BUGS, ...TURN_BUGS];
