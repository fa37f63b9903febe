import { groupStatus } from "../src/delivery/group-status.js";
import type { GroupStatus, OutputOf } from "../src/index.js";
import { requestStateOf } from "../src/trackers/request/status.js";

export type Kind = "group" | "request";

type View = NonNullable<OutputOf<"completion.status">["view"]>;

/** A group or a request as one read saw it. Texts are made from it. */
export interface Snapshot {
  readonly kind: Kind;
  readonly id: string;
  /** The fields that groups and requests share. A request's state is in `state` below. */
  readonly status: GroupStatus;
  /** `open`, `completed`, …; for a request `pending`, `complete`, … */
  readonly state: string;
  /** It completes under a policy, whose limits no status shows. */
  readonly hasPolicy: boolean;
}

export function snapshotOf(kind: Kind, id: string, view: View): Snapshot {
  const status = groupStatus(id, view);
  return { kind, id, status, state: stateOf(kind, status), hasPolicy: view.hasPolicy === true };
}

/** Returns the state in the words of the kind: a request is `pending`, `complete`, … */
export function stateOf(kind: Kind, status: GroupStatus): string {
  return kind === "group" ? status.state : requestStateOf(status);
}
