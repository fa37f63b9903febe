import { decode, formatInteger } from "../host.js";
import type { OutboxHead, Targets } from "../outbox/deliveries.js";
import type { OpRing } from "../recent-operations.js";
import type { Store } from "../store.js";

/**
 * The record of a group: its head, and what its members are called.
 *
 * | member       | holds                                                                        |
 * | ------------ | ---------------------------------------------------------------------------- |
 * | `reg`        | the registration: fingerprint, targets, parent                               |
 * | `meta`       | the metadata, as JSON text                                                   |
 * | `t:ID`       | the mark of a task without a stage                                           |
 * | `u:LEN:S:ID` | the mark of a task in stage S, whose name has LEN bytes                      |
 * | `b:N`        | the marks of 256 indexed tasks, a letter each                                |
 * | `o:N`        | a list of task ids in the order of registration, after the name of its stage |
 * | `y:N` `n:N`  | an early ack, and the tasks that early acks hand on to                       |
 * | `r:N` `e:N`  | a result, an error                                                           |
 * | `stages`     | the names of the stages                                                      |
 * | `g:STAGE`    | the counts of a stage                                                        |
 * | `c:G:N`      | child groups of announced tasks, by the first generation of restarts in place |
 * | `p`          | the cancellation that a parent group left here                               |
 * | `x:OP` `q:N` | recent operations                                                            |
 * | `taker`      | the call that took the plain function                                        |
 * | `d:…` `s:…`  | the outbox                                                                   |
 */

/** The state of a group. Every state but `open` is final. */
export type GroupState = "open" | "completed" | "failed" | "timed_out" | "cancelled";

/** Why a group ended before or after all of its tasks settled, in the words of AWS Step Functions and Durable Execution. */
export type CompletionReason = "all_completed" | "min_successful_reached" | "failure_tolerance_exceeded";

/** When a group ends before every task has succeeded. Without any of them, it ends when all tasks have settled. */
export interface Policy {
  minSuccessful?: number;
  toleratedFailureCount?: number;
  /** The tolerated percentage of failures × 10,000: an integer. */
  toleratedFailurePpm?: number;
}

/** The fields that every step reads and writes. An ack costs as much as these are large. */
export interface GroupHead extends OutboxHead {
  state: GroupState;
  generation: number;
  /** Counts changes. With the generation it is the version that progress is asked after. */
  changes: number;
  /** Counts the restarts in place. A mark is of the epoch in which it was made; none of an epoch before `since` counts. */
  epoch: number;
  since: number;
  /** The first generation of the restarts in place: successes of any since then count. Absent: this generation. */
  chainedFrom?: number;
  /** Tasks have ids, are numbers from 0, or are only counted. */
  kind: "named" | "indexed" | "counted";
  /** A request: complete whenever no announced task is open. */
  request?: boolean;
  /**
   * In a request: the calls that registered it and have not abandoned it, at most 16, then one name that no call has.
   * Empty: its last caller failed, and the next registration starts a new generation.
   */
  callers?: string[];
  /** More tasks may be announced, by `add` before the seal, by `next` also after it. */
  grows?: boolean;
  sealed?: boolean;
  total: number;
  succeeded: number;
  failed: number;
  policy?: Policy;
  /** The early acks that wait for their announcement. */
  early?: EarlyAcks;
  /** How many members there are of each numbered kind. */
  lists: number;
  results: number;
  errors: number;
  nexts?: number;
  children?: number;
  /** The error number after which the errors of this epoch begin. */
  errorsFrom?: number;
  /** Some task has a stage. */
  staged?: boolean;
  registeredAtMs: number;
  deadlineAtMs?: number;
  idleMs?: number;
  ttlMs: number;
  /** The last write that puts off the idle end or the silent end, and the last waiter that puts off the silent end. */
  touchedAtMs: number;
  followedAtMs?: number;
  lastAckAtMs?: number;
  endedAtMs?: number;
  /** Its timeout has a target, a parent's task or child groups: a timer must end it. */
  isTimed?: boolean;
  /** Its end settles a parent's task. */
  hasParent?: boolean;
  /** Another record needs this one until then. */
  neededMs?: number;
  reason?: string;
  completionReason?: CompletionReason;
  /** The member of the task whose ack ended the group. */
  endedBy?: string;
  /** Set by the step that ends the group, until it saves: the deliveries carry the status at the end of the step. */
  ending?: Ending | undefined;
  /** When it was removed. It is hidden, and lives on for its outbox and its marks. */
  removedAtMs?: number;
  /** The group was removed, and only its outbox is left. */
  isCompact?: boolean;
  operations?: OpRing;
  redeliveredAtMs?: number;
}

/** The effects of an end besides the group's own target. */
export interface Ending {
  /** The parent cancelled this group: it does not settle the parent's task. */
  isParents?: boolean;
  /** The child groups of open tasks stay as they are. */
  sparesChildren?: boolean;
  /** The trace context of the ack that ended the group. */
  traceparent?: string;
}

/** The early acks of a record. */
export interface EarlyAcks {
  plain: EarlySlots;
  bodies: EarlySlots;
  /** How many acks were kept so far. */
  kept: number;
}

export interface EarlySlots {
  /** The slots in use are among the first `used` ones. */
  used: number;
  waiting: number;
  /** How many of the waiting acks failed. They count in their own epoch only. */
  failures: number;
  /** The slot where the last search for a free one ended. */
  at: number;
  /** All slots are in use, and none expires before this instant. */
  fullUntilMs: number;
}

/** A reference to a task: (stage, id) is its identity. */
export interface TaskRef {
  stage?: string;
  id: string;
}

/** A task that an ack settles. */
export interface TaskAck extends TaskRef {
  /** JSON text. */
  result?: string;
  error?: string;
  /** The error cut to 256 bytes, where it is longer: what a status shows. */
  brief?: string;
  /** How many items were processed, for the counts of the task's stage. */
  processed?: number;
}

/** The part of a registration that only the end reads: the member `reg`. */
export interface Registration {
  /** A digest of what makes two registrations the same. */
  fingerprint: string;
  /** The operations that made the last generations, the latest last. */
  ops: string[];
  /** The operations of the last removals, the latest last. Later generations carry them on. */
  removals?: string[];
  /** The generation that this one restarted. */
  from?: number;
  deliveryId: string;
  targets?: Targets;
  parent?: Parent;
  /** The trace context of the call that registered this generation. */
  traceparent?: string;
}

/** The task of another group that this group settles when it ends. */
export interface Parent {
  /** The parent record's machine and id, and the task's stage and id, as one text that only this parent has. */
  key: string;
  /** JSON text for the deliverer. */
  body: string;
  generation?: number;
}

/** The limit on listed tasks of one group, announced or early. */
export const MAX_TASKS = 100_000;
/** The limit on tasks that are numbers. */
export const MAX_INDEXED = 1_000_000;
/** How many ids one list member holds at most. */
export const LIST_SIZE = 64;

export const numbered = (kind: string, n: number): string => `${kind}:${formatInteger(n)}`;

export const leftOf = (head: GroupHead): number => head.total - head.succeeded - head.failed;

/** No more tasks can be announced by `add`. */
export const isSealed = (head: GroupHead): boolean => head.grows !== true || head.sealed === true;

/** No announced task is open, and either one was announced or none can be. */
export const hasNoOpenTask = (head: GroupHead): boolean => leftOf(head) <= 0 && (head.total > 0 || isSealed(head));

/** A group with open tasks or none yet; a request that is complete is open as well, until it is sealed. */
export const isOpen = (head: GroupHead): boolean => head.state === "open";

export const readRegistration = (store: Store): Registration => decode<Registration>(store.get("reg")!);

/** The first generation of the restarts in place: what was announced since then belongs together. */
export const chainOf = (head: GroupHead): number => head.chainedFrom ?? head.generation;

/** The member of a list of child groups. */
export const childrenName = (chain: number, n: number): string => `c:${formatInteger(chain)}:${formatInteger(n)}`;
