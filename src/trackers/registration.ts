import type { RegisterOutput } from "../core/group/registration.js";
import { MAX_INDEXED } from "../core/group/task-set.js";
import { type GroupStatus, groupStatus } from "../delivery/group-status.js";
import type { Payloads } from "../delivery/handler.js";
import { CoordinationError } from "../errors.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger } from "../lib/validate.js";
import type { CallOptions } from "./call-options.js";
import type { CompletionTargets } from "./target.js";

/** What a registration says besides its tasks. */
export interface RegisterOptions<T extends Payloads = Payloads> extends CompletionTargets<T>, CallOptions {
  /** Any JSON value of up to 16 KB; comes back in every status. */
  readonly metadata?: unknown;
  /**
   * The deadline, in seconds from now; 0 for none: the group then ends when nothing has touched it for `ttlSec`. Default:
   * the tracker's.
   */
  readonly timeoutSec?: number | undefined;
  /** How long the ended group stays readable, and one without a deadline may be silent, in seconds. Default: the tracker's. */
  readonly ttlSec?: number | undefined;
  /**
   * Begins a new generation: `{ from }` only if that generation still stands, so that a delayed copy of this call does
   * nothing; `true` whatever stands.
   *
   * An ack that names no generation counts for whichever one stands when it arrives: a stray copy from before the restart
   * counts in the new generation too. Where tasks may keep their ids, have acks carry the generation.
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
 * What a registration waits for: the tasks of a list, so many tasks of any ids, or numbered tasks.
 *
 * `{ indexed: n }`: the tasks are the numbers from 0 to n - 1, 1,000,000 at most, and are acked as numbers. Each counts once,
 * as a listed id does, and takes one byte. A call that is sent again after its reply was lost may read `duplicate` where ids
 * would read `accepted`: after 1,000 other calls or a minute, or when its first copy came before the registration.
 */
export type Tasks = readonly string[] | number | { readonly indexed: number };

/** The most tasks that one registration may list. */
export const MAX_TASKS = 100_000;
export const MAX_TOTAL = 1_000_000_000;
export const MAX_METADATA_BYTES = 16_384;

/** What a group waits for: so many tasks of any name, those of a list, or numbers up to a total. */
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

/** The status that a registration answers, or why it was refused. */
export function registered(groupId: string, { outcome, view }: RegisterOutput): GroupStatus {
  if (outcome === "conflict") {
    throw new CoordinationError(
      "conflict",
      "the group is registered with other tasks or targets; `restart` begins anew",
    );
  }
  if (outcome === "restart_lost") {
    throw new CoordinationError("conflict", "the generation to restart from no longer stands");
  }
  if (outcome === "outbox_full") {
    throw new CoordinationError("limit_exceeded", "too many ended generations of the group wait for their delivery", {
      retryable: true,
    });
  }
  if (view === undefined) throw new CoordinationError("backend_rejected", "a registration came without its status");
  return groupStatus(groupId, view);
}
