import type { GroupState } from "../../core/group/record.js";
import type { GroupStatus } from "../../delivery/group-status.js";
import type { Duration } from "../../lib/duration.js";
import type { Names } from "../../lib/known-options.js";
import type { GenerationOptions, TraceOptions } from "../call-options.js";
import type { AddedTask } from "./announcement.js";

/** Options of an ack. */
export interface AckOptions extends GenerationOptions, TraceOptions {
  /** Tasks that follow, up to 1,000. They are added in the same step, if a task of the call counts. */
  readonly next?: readonly AddedTask[] | undefined;
}

/** Options of `cancel`. */
export interface CancelOptions extends GenerationOptions {
  /** False: child groups of open tasks stay open. @default true */
  readonly cascade?: boolean | undefined;
}

/** Options of `decrement`. */
export interface DecrementOptions extends GenerationOptions, TraceOptions {
  /** The id of the caller's message: another call with it counts nothing. @default a new one */
  readonly opId?: string | undefined;
}

/** Options of `extend`. */
export interface ExtendOptions extends GenerationOptions {
  /** The new deadline, in seconds from now. */
  readonly timeoutSec: Duration;
}

/** A task of a result. */
export interface NamedTask {
  readonly taskId: string;
  readonly stage: string | null;
}

/** The result of `add`. */
export interface AddResult {
  /** `sealed`: the group takes no more tasks. `late`: it has ended. `unknown`: there is no such group or generation. */
  readonly outcome: "added" | "sealed" | "late" | "unknown";
  /** The tasks that are new and open. */
  readonly added: readonly NamedTask[];
  /** The status after the call; null for an unknown group. */
  readonly status: GroupStatus | null;
}

/** The result of `retry`. */
export interface RetryResult {
  /** `late`: the group has ended, and nothing was opened. `unknown`: there is no such group or generation. */
  readonly outcome: "retried" | "late" | "unknown";
  /** The tasks that are open again. */
  readonly reopened: readonly NamedTask[];
  /** The status after the call; null for an unknown group. */
  readonly status: GroupStatus | null;
}

/** The result of `heartbeat`. */
export interface Heartbeat {
  /** The group is open, or not registered yet: work for it is worth doing. */
  readonly alive: boolean;
  readonly state: GroupState | "unregistered";
}

/** The names of the options, by which unknown ones are refused. */
export const ACK_OPTIONS: Names<AckOptions> = { generation: true, next: true, traceparent: true, signal: true };
export const DECREMENT_OPTIONS: Names<DecrementOptions> = {
  generation: true,
  opId: true,
  traceparent: true,
  signal: true,
};
