import type { TransitionName } from "../../core/registry.js";
import type { Joinable } from "../../runtime/batcher.js";

/** One call of a transition. Calls of one record that begin in a turn share a load and a compare-and-set. */
export interface Operation extends Joinable {
  readonly transition: TransitionName;
  /** As text, so that no evaluation can change it for the next. */
  readonly input: string;
  /** How many failures of the store it lives with, the last one not among them. */
  readonly patience: number;
  /** Its timers keep no process alive. */
  readonly background: boolean;
  /** When its time is over. */
  readonly endsAtMs: number;
}
