import type { Coordinator } from "../../coordinator.js";
import type { Announcement } from "../../core/group/growth.js";
import type { TaskRef as TaskKey } from "../../core/group/record.js";
import type { GroupView } from "../../core/group/view.js";
import { MAX_ERROR_BYTES } from "../../core/limits.js";
import { type GroupStatus, groupStatus } from "../../delivery/group-status.js";
import { newOp } from "../../lib/ids.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkId, checkInteger, checkTtlSec, shortText } from "../../lib/validate.js";
import type { RunOptions } from "../../runtime/backend.js";
import type { CallOptions, GenerationOptions } from "../call-options.js";
import { type Announced, checkChildren } from "./announcement.js";
import type { AddResult, CancelOptions, ExtendOptions, Heartbeat, NamedTask, RetryResult } from "./calls.js";
import { refuse } from "./refusals.js";
import { type TaskRef, taskKeys } from "./task.js";

const GENERATION_OPTIONS: Names<GenerationOptions> = { generation: true, signal: true };
const CANCEL_OPTIONS: Names<CancelOptions> = { generation: true, cascade: true, signal: true };
const EXTEND_OPTIONS: Names<ExtendOptions> = { generation: true, timeoutSec: true, signal: true };

/** The record kinds of a join: groups, or requests. */
interface Joined {
  readonly coordinator: Coordinator;
  readonly machine: "completion" | "request";
  readonly waitUntil: RunOptions["waitUntil"];
}

/** The writes that groups and requests share. Errors name the id as callers do: `groupId` or `requestId`. */
export class GroupOperations {
  readonly #joined: Joined;

  constructor(joined: Joined) {
    this.#joined = joined;
  }

  async add(id: string, added: Announced, options: GenerationOptions): Promise<AddResult> {
    this.check(id);
    const input = { op: newOp(), ...this.announcement(id, added), ...generationOf(options) };
    const output = await this.#joined.coordinator.run(`${this.#joined.machine}.add`, id, input, this.ending(options));
    refuse(output.refused);
    return { outcome: output.outcome, added: named(added.tasks, output.letters, "n"), status: statusOf(id, output) };
  }

  async seal(id: string, options: GenerationOptions): Promise<GroupStatus | null> {
    this.check(id);
    const input = { op: newOp(), ...generationOf(options) };
    return statusOf(
      id,
      await this.#joined.coordinator.run(`${this.#joined.machine}.seal`, id, input, this.ending(options)),
    );
  }

  async retry(id: string, tasks: TaskRef | readonly TaskRef[], options: GenerationOptions): Promise<RetryResult> {
    this.check(id);
    const keys = taskKeys(tasks, "tasks");
    const input = { op: newOp(), tasks: keys, ...generationOf(options) };
    const output = await this.#joined.coordinator.run(`${this.#joined.machine}.retry`, id, input, this.ending(options));
    return { outcome: output.outcome, reopened: named(keys, output.letters, "r"), status: statusOf(id, output) };
  }

  async extend(id: string, options: ExtendOptions): Promise<GroupStatus | null> {
    this.check(id);
    const generation = generationOf(options, EXTEND_OPTIONS);
    const input = { op: newOp(), timeoutMs: checkTtlSec(options?.timeoutSec, "timeoutSec"), ...generation };
    return statusOf(
      id,
      await this.#joined.coordinator.run(`${this.#joined.machine}.extend`, id, input, this.ending(options)),
    );
  }

  async heartbeat(id: string, options: GenerationOptions): Promise<Heartbeat> {
    this.check(id);
    const input = generationOf(options);
    return this.#joined.coordinator.run(`${this.#joined.machine}.heartbeat`, id, input, this.ending(options));
  }

  async cancel(id: string, reason: string, options: CancelOptions): Promise<GroupStatus | null> {
    this.check(id);
    const generation = generationOf(options, CANCEL_OPTIONS);
    const input = {
      reason: shortText(reason, "reason", MAX_ERROR_BYTES),
      ...generation,
      ...(options.cascade === false ? { sparesChildren: true } : {}),
    };
    return statusOf(
      id,
      await this.#joined.coordinator.run(`${this.#joined.machine}.cancel`, id, input, this.ending(options)),
    );
  }

  async remove(id: string, options: CallOptions): Promise<boolean> {
    this.check(id);
    checkOptions(options, { signal: true });
    const input = { op: newOp() };
    return (await this.#joined.coordinator.run(`${this.#joined.machine}.remove`, id, input, this.ending(options)))
      .found;
  }

  async redeliver(id: string, options: GenerationOptions): Promise<GroupStatus | null> {
    this.check(id);
    const input = { op: newOp(), ...generationOf(options) };
    return statusOf(
      id,
      await this.#joined.coordinator.run(`${this.#joined.machine}.redeliver`, id, input, this.ending(options)),
    );
  }

  /** Returns what a call announces. @throws {CoordinationError} `invalid_input` for a group that is its own child. */
  announcement(id: string, { announcement }: Announced): Announcement {
    checkChildren(announcement, { machine: this.#joined.machine, id });
    return announcement;
  }

  check(id: string): void {
    checkId(id, this.#joined.machine === "request" ? "requestId" : "groupId");
  }

  /** Returns the options of a call that may end the record: its delivery may outlive the call. */
  ending({ signal }: CallOptions): RunOptions {
    return { signal, waitUntil: this.#joined.waitUntil };
  }
}

/** Returns the generation of a call, if it names one. */
export function generationOf(
  options: GenerationOptions,
  known: Readonly<Record<string, true>> = GENERATION_OPTIONS,
): { generation?: number } {
  checkOptions(options, known);
  const { generation } = options ?? {};
  if (generation === undefined) return {};
  checkInteger(generation, "generation", 0, Number.MAX_SAFE_INTEGER);
  return { generation };
}

/** Returns the status that an output carries. */
export function statusOf(id: string, { view }: { readonly view?: GroupView }): GroupStatus | null {
  return view === undefined ? null : groupStatus(id, view);
}

/** Returns the tasks whose letter is the wanted one. */
function named(tasks: readonly TaskKey[], letters: string | undefined, wanted: string): NamedTask[] {
  return tasks.filter((_, i) => letters?.[i] === wanted).map(({ id, stage }) => ({ taskId: id, stage: stage ?? null }));
}
