import { MAX_PAGE_BYTES } from "../core/limits.js";
import type { TransitionName } from "../core/registry.js";
import type { WatchableTransition } from "./backend.js";

/**
 * What may be done with a transition, apart from the machines themselves: a client that only names them needs no more.
 * A new transition that is not listed is a write with a small answer, which any client may run and none may watch.
 */

/** Reads. A lost answer loses nothing: they write at most what time alone has decided, or a renewal. */
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

/** Reads that answer with a page. */
const PAGED: readonly TransitionName[] = ["kv.lrange", "completion.results"];

/** What an answer with a status takes, in bytes: mostly far less, and 122 KB with a hundred long errors. */
const STATUS_BYTES = 32_768;

/** The steps of a drain. */
const INTERNAL: readonly TransitionName[] = ["completion.woken", "completion.settle"];

const WATCHABLE: readonly WatchableTransition[] = ["completion.wait", "request.wait", "request.progress"];

/** Whether its answer is a page, whose size the input may bound. */
export function isPaged(name: string): boolean {
  return (PAGED as readonly string[]).includes(name);
}

/** Returns how much room of an answer is kept for a transition, in bytes; 0 for those that answer in a word. */
export function answerSize(name: string): number {
  if (isPaged(name)) return MAX_PAGE_BYTES;
  return /^(completion|request)\./.test(name) ? STATUS_BYTES : 0;
}

/** Whether a write may have been applied when the answer to this transition is lost. */
export function lostAnswer(name: TransitionName): "no" | "unknown" {
  return READS.includes(name) ? "no" : "unknown";
}

/** Whether only a drain may run it: it is never offered to a client. */
export function isInternal(name: string): boolean {
  return (INTERNAL as readonly string[]).includes(name);
}

/** Whether its output says `ready`. */
export function isWatchable(name: string): name is WatchableTransition {
  return (WATCHABLE as readonly string[]).includes(name);
}
