import type { WatchableTransition } from "./coordinator.js";
import type { TransitionName } from "./machines/index.js";

/**
 * What may be done with a transition, apart from the machines themselves: a client that only names them needs no more.
 * A new transition that is not listed is a write that any client may run, and nobody may watch.
 */

/** Nothing is lost or counted twice, whether or not the answer came. They write at most what time has decided, or a renewal. */
const READS: readonly TransitionName[] = [
  "kv.getInt",
  "kv.scard",
  "kv.lrange",
  "completion.status",
  "completion.wait",
  "completion.results",
  "request.status",
  "request.wait",
  "request.progress",
];

/** The steps of whoever drains an outbox. */
const INTERNAL: readonly TransitionName[] = ["completion.woken", "completion.settle"];

const WATCHABLE: readonly WatchableTransition[] = ["completion.wait", "request.wait", "request.progress"];

/** Whether a write may have landed when the answer to this transition is lost. */
export function lostAnswer(name: TransitionName): "no" | "unknown" {
  return READS.includes(name) ? "no" : "unknown";
}

/** Whether only a drainer may run it: never offered to a client. */
export function isInternal(name: string): boolean {
  return (INTERNAL as readonly string[]).includes(name);
}

/** Whether its output says `ready`. */
export function isWatchable(name: string): name is WatchableTransition {
  return (WATCHABLE as readonly string[]).includes(name);
}
