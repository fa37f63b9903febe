import type { TransitionName } from "../../core/registry.js";
import type { Joinable } from "../../runtime/batcher.js";

/** One call of a transition. Calls on one record that begin in the same turn share a load and a compare-and-set. */
export interface Operation extends Joinable {
  readonly transition: TransitionName;
  /** JSON text, so that no evaluation can change the input for the next one. */
  readonly input: string;
  /** How many failures of the store are retried. One more fails the call. */
  readonly patience: number;
  /** True: timers of this call are unref'd, so that they do not keep the process alive. */
  readonly background: boolean;
  /** When the call times out, in milliseconds since 1970. */
  readonly endsAtMs: number;
}
