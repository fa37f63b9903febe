import type { AckLine } from "../../core/group/acks.js";
import type { GroupState } from "../../core/group/record.js";

/** The result of one ack. Its `verdict` determines which fields it has. */
export type AckResult = AcceptedAck | RefusedAck | EarlyAck | UnknownAck;

/** Fields of every verdict about a registered group. */
interface AckOfGroup {
  /** The group's state after the call was processed. A call that is sent again receives the state at that time. */
  readonly state: GroupState;
  /** How many announced tasks have neither succeeded nor failed. */
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

/**
 * The task is not announced yet, and the ack is kept: for `earlyTtlSec` before the registration, in an open group until
 * the group ends. It counts when the task is announced.
 */
export interface EarlyAck {
  readonly verdict: "early";
  readonly state: "unregistered" | "open";
  readonly ended: false;
  readonly remaining: number | null;
  readonly generation: number | null;
}

/** The task is not one of the group's, the generation does not exist, or there are too many early acks. */
export interface UnknownAck {
  readonly verdict: "unknown";
  readonly state: GroupState | "unregistered";
  readonly ended: false;
  readonly remaining: number | null;
  readonly generation: number | null;
}

/** Returns the result of an ack as callers receive it. Which fields exist follows the union above. */
export function ackResult({ verdict, state, ended, remaining, generation }: AckLine): AckResult {
  return { verdict, state, ended, remaining: remaining ?? null, generation: generation ?? null } as AckResult;
}
