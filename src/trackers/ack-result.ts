import type { AckResult as AckOutput } from "../core/group/completion.js";
import type { GroupState } from "../core/group/record.js";

/** What became of one ack. Its `verdict` says which fields hold what. */
export type AckResult = AcceptedAck | RefusedAck | EarlyAck | UnknownAck;

/** What every verdict about a registered group says. */
interface AckOfGroup {
  /** The group's state once this task was looked at. A resent call receives the state as it is by then. */
  readonly state: GroupState;
  /** How many tasks neither succeeded nor failed. */
  readonly remaining: number;
  readonly generation: number;
}

/** The ack counted, or the first copy of this call did. */
export interface AcceptedAck extends AckOfGroup {
  readonly verdict: "accepted";
  /** This very ack ended the group. */
  readonly ended: boolean;
}

/** `duplicate`: the task had counted before. `late`: the group had ended. `cancelled`: the group had been cancelled. */
export interface RefusedAck extends AckOfGroup {
  readonly verdict: "duplicate" | "late" | "cancelled";
  readonly ended: false;
}

/** The group is not registered yet; the ack is kept for `earlyTtlSec`. */
export interface EarlyAck {
  readonly verdict: "early";
  readonly state: "unregistered";
  readonly ended: false;
  readonly remaining: null;
  readonly generation: null;
}

/** No such task in the registered list, a generation that is not there, or too many early acks. */
export interface UnknownAck {
  readonly verdict: "unknown";
  readonly state: GroupState | "unregistered";
  readonly ended: false;
  readonly remaining: number | null;
  readonly generation: number | null;
}

/** Returns the result of an ack as callers receive it. The core's steps keep to the union above. */
export function ackResult({ verdict, state, ended, remaining, generation }: AckOutput): AckResult {
  return { verdict, state, ended, remaining: remaining ?? null, generation: generation ?? null } as AckResult;
}
