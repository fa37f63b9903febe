import type { AckResult as AckOutput } from "../core/group/completion.js";
import type { GroupState } from "../core/group/record.js";

/** The result of one ack. Its `verdict` determines which fields it has. */
export type AckResult = AcceptedAck | RefusedAck | EarlyAck | UnknownAck;

/** Fields of every verdict about a registered group. */
interface AckOfGroup {
  /** The group's state after this task was processed. A call that is sent again receives the state at that time. */
  readonly state: GroupState;
  /** How many tasks have neither succeeded nor failed. */
  readonly remaining: number;
  readonly generation: number;
}

/** This call counted, or its first copy did. */
export interface AcceptedAck extends AckOfGroup {
  readonly verdict: "accepted";
  /** True: this ack ended the group. */
  readonly ended: boolean;
}

/** `duplicate`: the task had already counted. `late`: the group had ended. `cancelled`: the group had been cancelled. */
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

/** The task is not in the registered list, the generation does not exist, or there are too many early acks. */
export interface UnknownAck {
  readonly verdict: "unknown";
  readonly state: GroupState | "unregistered";
  readonly ended: false;
  readonly remaining: number | null;
  readonly generation: number | null;
}

/** Returns the result of an ack as callers receive it. Which fields exist follows the union above. */
export function ackResult({ verdict, state, ended, remaining, generation }: AckOutput): AckResult {
  return { verdict, state, ended, remaining: remaining ?? null, generation: generation ?? null } as AckResult;
}
