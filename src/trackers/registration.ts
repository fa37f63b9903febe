import type { RegisterOutput } from "../core/group/registration.js";
import { MAX_INDEXED } from "../core/group/task-set.js";
import { CoordinationError } from "../errors.js";
import type { Names } from "../lib/known-options.js";
import { checkId, checkInteger } from "../lib/validate.js";
import type { CallOptions } from "./call-options.js";
import { type GroupStatus, groupStatus } from "./group-status.js";
import type { CompletionTargets, Payloads } from "./target.js";

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
   * The tasks are the numbers from 0 to the total - 1, up to 1,000,000 of them, and are acked as numbers: each once, as by
   * ids of their own, in a byte a task. A call that is sent again, since its reply was lost, is told `duplicate` where ids would
   * tell it `accepted`, once more than 1,000 others, or a minute, came in between; and in any case when its first copy came
   * before the registration.
   */
  readonly indexed?: boolean | undefined;
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
  indexed: true,
  restart: true,
  signal: true,
};

/** The most tasks that one registration may list. */
export const MAX_TASKS = 100_000;
export const MAX_TOTAL = 1_000_000_000;
export const MAX_METADATA_BYTES = 16_384;

/** What a group waits for: so many tasks of any name, those of a list, or numbers up to a total. */
export type GroupTasks =
  | { readonly total: number }
  | { readonly total: number; readonly tasks: string[] }
  | { readonly total: number; readonly indexed: true };

export function checkTasks(totalOrTaskIds: number | readonly string[], indexed = false): GroupTasks {
  if (indexed) {
    if (typeof totalOrTaskIds !== "number") {
      throw new CoordinationError("invalid_input", "indexed tasks are given by their total, not by a list");
    }
    checkInteger(totalOrTaskIds, "total", 0, MAX_INDEXED);
    return { total: totalOrTaskIds, indexed };
  }
  if (typeof totalOrTaskIds === "number") {
    checkInteger(totalOrTaskIds, "total", 0, MAX_TOTAL);
    return { total: totalOrTaskIds };
  }
  if (!Array.isArray(totalOrTaskIds)) {
    throw new CoordinationError("invalid_input", "totalOrTaskIds must be a number or a list of ids");
  }
  if (totalOrTaskIds.length > MAX_TASKS) {
    throw new CoordinationError(
      "invalid_input",
      `taskIds must hold at most ${MAX_TASKS}; register a total, or \`indexed\` tasks`,
    );
  }
  const seen = new Set<string>();
  for (const [i, id] of totalOrTaskIds.entries()) {
    checkId(id, `taskIds[${i}]`);
    if (seen.has(id)) throw new CoordinationError("invalid_input", `taskIds[${i}] repeats an earlier id`);
    seen.add(id);
  }
  return { total: totalOrTaskIds.length, tasks: [...totalOrTaskIds] };
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
