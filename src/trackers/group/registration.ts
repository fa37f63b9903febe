import { MAX_INDEXED, MAX_TASKS } from "../../core/group/record.js";
import type { RegisterInput, RegisterOutput, Restart } from "../../core/group/registration.js";
import type { Targets } from "../../core/outbox/deliveries.js";
import { type GroupStatus, groupStatus } from "../../delivery/group-status.js";
import type { Payloads } from "../../delivery/handler.js";
import { type ParentTask, parentOf, storedTask } from "../../delivery/targets/parent-task.js";
import { CoordinationError } from "../../errors.js";
import type { Duration } from "../../lib/duration.js";
import { newOp } from "../../lib/ids.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkInteger, checkTtlSec, toJson } from "../../lib/validate.js";
import { type TraceOptions, traceOf } from "../call-options.js";
import { type AddedTask, type Announced, announced, checkChildren, type GroupTasks } from "./announcement.js";
import { type Fingerprinted, fingerprint } from "./fingerprint.js";
import { type CompletionPolicy, checkPolicy } from "./policy.js";
import { refuse, refuseRegistration } from "./refusals.js";
import type { CompletionTargets } from "./target.js";
import { MAX_TOTAL } from "./task.js";

/** Options of a registration. */
export interface RegisterOptions<T extends Payloads = Payloads> extends CompletionTargets<T>, TraceOptions {
  /**
   * More tasks may come: by `add` until `seal`, and by the `next` of acks until the end. Only a list of tasks can be open; it
   * may be empty. @default false
   */
  readonly open?: boolean | undefined;
  /** When the group ends before all tasks are done. @default when all tasks have succeeded or failed */
  readonly complete?: CompletionPolicy | undefined;
  /** Any JSON value of up to 16 KB. Every status returns it. */
  readonly metadata?: unknown;
  /**
   * The deadline, in seconds from now. 0 for none: the group then ends when no call has changed it or waited for it for
   * `ttlSec`. Default: the tracker's.
   */
  readonly timeoutSec?: Duration | undefined;
  /**
   * Ends the group as `timed_out` when no accepted or early ack, `add`, `seal`, `retry` or `heartbeat` comes for this time, in
   * seconds. Duplicate acks and waiters do not count. @default none
   */
  readonly idleTimeoutSec?: Duration | undefined;
  /**
   * How long the ended group stays readable, in seconds. Also how long a group without a deadline may have no calls. Default:
   * the tracker's.
   */
  readonly ttlSec?: Duration | undefined;
  /** The task of another group or request that every end of this group settles. */
  readonly parent?: ParentTask | undefined;
  /**
   * Begins a new generation. `{ from }`: only if the group still has that generation, so that a delayed copy of this call does
   * nothing. `true`: whatever the generation is. `keep: "succeeded"`: the tasks that succeeded keep their results; the others
   * are open again, and new ones are added.
   *
   * An ack without a generation counts for the generation that exists when it arrives: a late copy from before the restart
   * counts in the new one too. If tasks keep their ids, pass the generation with their acks.
   */
  readonly restart?: true | { readonly from: number; readonly keep?: "succeeded" | undefined } | undefined;
}

export const REGISTER_OPTIONS: Names<RegisterOptions> = {
  open: true,
  complete: true,
  onSuccess: true,
  onFailure: true,
  onComplete: true,
  onTimeout: true,
  onEnd: true,
  metadata: true,
  timeoutSec: true,
  idleTimeoutSec: true,
  ttlSec: true,
  parent: true,
  restart: true,
  traceparent: true,
  signal: true,
};

/**
 * The tasks of a group: a list of tasks, a number of tasks with any ids, or numbered tasks.
 *
 * `{ indexed: n }`: the tasks are the numbers from 0 to n - 1, 1,000,000 at most, and are acked as numbers. Each counts once,
 * like a listed id, and takes one byte. A call that is sent again after a lost reply may return `duplicate` where ids would
 * return `accepted`. This happens after 10,000 other calls or a minute.
 */
export type Tasks = readonly AddedTask[] | number | { readonly indexed: number };

export const MAX_METADATA_BYTES = 16_384;

const UNLISTED: Announced = { announcement: { lists: [] }, tasks: [] };

export function checkTasks(tasks: Tasks, isOpen: boolean): GroupTasks {
  if (Array.isArray(tasks)) {
    if (tasks.length > MAX_TASKS) {
      throw new CoordinationError(
        "invalid_input",
        `tasks must hold at most ${MAX_TASKS} ids; register a number, or { indexed: number }`,
      );
    }
    return { kind: "named", total: 0, ...announced(tasks as readonly AddedTask[], "tasks", MAX_TASKS) };
  }
  if (isOpen) throw new CoordinationError("invalid_input", "tasks must be a list where the group is open");
  if (typeof tasks === "number") {
    checkInteger(tasks, "total", 0, MAX_TOTAL);
    return { kind: "counted", total: tasks, ...UNLISTED };
  }
  if (typeof tasks !== "object" || tasks === null) {
    throw new CoordinationError("invalid_input", "tasks must be a list of ids, a number, or { indexed: number }");
  }
  checkOptions(tasks, { indexed: true }, "tasks");
  const { indexed } = tasks as { readonly indexed: number };
  checkInteger(indexed, "tasks.indexed", 0, MAX_INDEXED);
  return { kind: "indexed", total: indexed, ...UNLISTED };
}

export function checkRestart(restart: RegisterOptions["restart"]): Restart | undefined {
  if (restart === undefined) return undefined;
  if (restart === true) return {};
  if (typeof restart !== "object" || restart === null) {
    throw new CoordinationError("invalid_input", "restart must be true or { from: generation }");
  }
  checkOptions(restart, { from: true, keep: true }, "restart");
  const { from, keep } = restart;
  checkInteger(from, "restart.from", 0, Number.MAX_SAFE_INTEGER);
  if (keep === undefined) return { from };
  if (keep !== "succeeded") throw new CoordinationError("invalid_input", 'restart.keep must be "succeeded"');
  return { from, keep };
}

/** A checked registration, with the defaults of its tracker. */
export interface CheckedRegistration {
  readonly machine: "completion" | "request";
  readonly id: string;
  readonly tasks: GroupTasks;
  readonly targets: Targets | undefined;
  readonly timeoutMs: number;
  readonly ttlMs: number;
  /** The id of the call. @default a new one */
  readonly op?: string;
}

/** Returns the input of a `register` transition. */
export async function registerInput(
  { machine, id, tasks, targets, timeoutMs, ttlMs, op = newOp() }: CheckedRegistration,
  options: RegisterOptions,
): Promise<RegisterInput> {
  const { kind, total, announcement } = tasks;
  const isOpen = machine === "request" || options.open === true;
  const fixedTotal = isOpen ? undefined : Math.max(total, tasks.tasks.length);
  const policy = checkPolicy(options.complete, fixedTotal);
  const restart = checkRestart(options.restart);
  checkChildren(announcement, { machine, id });
  const parent = options.parent === undefined ? undefined : parentOf(ownParent(options.parent, machine, id));
  const print = await printOf({ tasks, isOpen, policy, targets, parent: parent?.body });
  return {
    op,
    fingerprint: print,
    kind,
    total,
    ...announcement,
    timeoutMs,
    ttlMs,
    deliveryId: `msg_${newOp()}`,
    ...(machine === "request" ? { request: true } : {}),
    ...(isOpen ? { grows: true } : {}),
    ...(policy === undefined ? {} : { policy }),
    ...(targets === undefined ? {} : { targets }),
    ...(parent === undefined ? {} : { parent }),
    ...(restart === undefined ? {} : { restart }),
    ...(options.idleTimeoutSec === undefined ? {} : { idleMs: checkTtlSec(options.idleTimeoutSec, "idleTimeoutSec") }),
    ...(options.metadata === undefined ? {} : { metadata: toJson(options.metadata, "metadata", MAX_METADATA_BYTES) }),
    ...traceOf(options),
  };
}

/** In the place of a digest. */
const PLAIN = "0000000000000000000000000000000000000000000000000000000000000000";

/** A request without a target costs no digest: all of them are the same, and most requests are. */
function printOf(of: Fingerprinted): string | Promise<string> {
  const { tasks, isOpen, policy, targets, parent } = of;
  const isPlain = isOpen && tasks.tasks.length === 0 && policy === undefined;
  return isPlain && targets === undefined && parent === undefined ? PLAIN : fingerprint(of);
}

function ownParent(parent: ParentTask, machine: string, id: string): ReturnType<typeof storedTask> {
  const task = storedTask(parent, "parent");
  if (task.machine === machine && task.id === id) {
    throw new CoordinationError("invalid_input", "parent must name another group than the one that is registered");
  }
  return task;
}

/** Returns the status after a registration, or throws why it was refused. */
export function registered(groupId: string, { outcome, refused, view }: RegisterOutput): GroupStatus {
  if (outcome !== "created" && outcome !== "exists") {
    if (outcome === "refused") refuse(refused);
    else refuseRegistration(outcome);
  }
  if (view === undefined)
    throw new CoordinationError("backend_rejected", "unexpected response: a registration without its status");
  return groupStatus(groupId, view);
}
