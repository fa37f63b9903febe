import type { RegisterOutput } from "../core/group/registration.js";
import { MAX_INDEXED } from "../core/group/task-set.js";
import { type GroupStatus, groupStatus } from "../delivery/group-status.js";
import type { Payloads } from "../delivery/handler.js";
import { CoordinationError } from "../errors.js";
import type { Duration } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger } from "../lib/validate.js";
import type { CallOptions } from "./call-options.js";
import type { CompletionTargets } from "./target.js";

/** Options of a registration. */
export interface RegisterOptions<T extends Payloads = Payloads> extends CompletionTargets<T>, CallOptions {
  /** Any JSON value of up to 16 KB. Every status returns it. */
  readonly metadata?: unknown;
  /**
   * The deadline, in seconds from now. 0 for none: the group then ends when no call has changed it or waited for it for
   * `ttlSec`. Default: the tracker's.
   */
  readonly timeoutSec?: Duration | undefined;
  /**
   * How long the ended group stays readable, in seconds. Also how long a group without a deadline may have no calls. Default:
   * the tracker's.
   */
  readonly ttlSec?: Duration | undefined;
  /**
   * Begins a new generation. `{ from }`: only if the group still has that generation, so that a delayed copy of this call does
   * nothing. `true`: whatever the generation is.
   *
   * An ack without a generation counts for the generation that exists when it arrives: a late copy from before the restart
   * counts in the new one too. If tasks keep their ids, pass the generation with their acks.
   */
  readonly restart?: true | { readonly from: number } | undefined;
}

export const REGISTER_OPTIONS: Names<RegisterOptions> = {
  onComplete: true,
  onTimeout: true,
  onEnd: true,
  metadata: true,
  timeoutSec: true,
  ttlSec: true,
  restart: true,
  signal: true,
};

/**
 * The tasks of a group: a list of ids, a number of tasks with any ids, or numbered tasks.
 *
 * `{ indexed: n }`: the tasks are the numbers from 0 to n - 1, 1,000,000 at most, and are acked as numbers. Each counts once,
 * like a listed id, and takes one byte. A call that is sent again after a lost reply may return `duplicate` where ids would
 * return `accepted`. This happens after 1,000 other calls or a minute, or when the first copy came before the registration.
 */
export type Tasks = readonly string[] | number | { readonly indexed: number };

/** The most tasks that one registration may list. */
export const MAX_TASKS = 100_000;
export const MAX_TOTAL = 1_000_000_000;
export const MAX_METADATA_BYTES = 16_384;

/** The tasks of a group, checked. */
export type GroupTasks =
  | { readonly total: number }
  | { readonly total: number; readonly tasks: string[] }
  | { readonly total: number; readonly indexed: true };

export function checkTasks(tasks: Tasks): GroupTasks {
  if (typeof tasks === "number") {
    checkInteger(tasks, "total", 0, MAX_TOTAL);
    return { total: tasks };
  }
  if (!Array.isArray(tasks)) return indexedTasks(tasks as { readonly indexed: number });
  if (tasks.length > MAX_TASKS) {
    throw new CoordinationError(
      "invalid_input",
      `tasks must hold at most ${MAX_TASKS} ids; register a number, or { indexed: number }`,
    );
  }
  const seen = new Set<string>();
  for (const [i, id] of tasks.entries()) {
    checkId(id, `tasks[${i}]`);
    if (seen.has(id)) throw new CoordinationError("invalid_input", `tasks[${i}] repeats an earlier id`);
    seen.add(id);
  }
  return { total: tasks.length, tasks: [...tasks] };
}

function indexedTasks(tasks: { readonly indexed: number }): GroupTasks {
  if (typeof tasks !== "object" || tasks === null) {
    throw new CoordinationError("invalid_input", "tasks must be a list of ids, a number, or { indexed: number }");
  }
  checkOptions(tasks, { indexed: true }, "tasks");
  checkInteger(tasks.indexed, "tasks.indexed", 0, MAX_INDEXED);
  return { total: tasks.indexed, indexed: true };
}

export function checkRestart(restart: true | { readonly from: number } | undefined): { from?: number } | undefined {
  if (restart === undefined) return undefined;
  if (restart === true) return {};
  if (typeof restart !== "object" || restart === null) {
    throw new CoordinationError("invalid_input", "restart must be true or { from: generation }");
  }
  checkInteger(restart.from, "restart.from", 0, Number.MAX_SAFE_INTEGER);
  return { from: restart.from };
}

/** Returns the status after a registration, or throws why it was refused. */
export function registered(groupId: string, { outcome, view }: RegisterOutput): GroupStatus {
  if (outcome === "conflict") {
    throw new CoordinationError(
      "conflict",
      "the group is registered with other tasks or targets; `restart` begins anew",
    );
  }
  if (outcome === "restart_lost") {
    throw new CoordinationError("conflict", "the group has another generation than restart.from");
  }
  if (outcome === "outbox_full") {
    throw new CoordinationError("limit_exceeded", "too many ended generations of the group wait for their delivery", {
      retryable: true,
    });
  }
  if (view === undefined) throw new CoordinationError("backend_rejected", "a registration came without its status");
  return groupStatus(groupId, view);
}
