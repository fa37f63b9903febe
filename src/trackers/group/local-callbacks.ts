import type { Coordinator } from "../../coordinator.js";
import { type GroupStatus, groupStatus } from "../../delivery/group-status.js";
import { CoordinationError } from "../../errors.js";
import { isEphemeral } from "../../lib/ephemeral.js";
import { newOp } from "../../lib/ids.js";
import type { OnEvent } from "../../runtime/events.js";
import { emit } from "../../runtime/events.js";
import { type LocalTargets, localTargetOf } from "./target.js";

/** How long one watch of a group lasts. It is repeated until the group has ended. */
const WATCH_MS = 86_400_000;
/** The error on platforms that end background work with the request, without `waitUntil`. */
const EPHEMERAL = "plain functions need `waitUntil` on this platform: without it they end with the request";

/**
 * Runs the plain functions of registrations. They exist only in the instance that registered them, which watches the group.
 * When several instances have one for the same generation, the first that sees the end calls its own.
 */
export class LocalCallbacks {
  readonly #coordinator: Coordinator;
  readonly #waitUntil: ((work: Promise<unknown>) => void) | undefined;
  readonly #onEvent: OnEvent;
  /** The generations that are watched here, so that a repeated registration does not start a second watch. */
  readonly #followed = new Map<string, number>();

  constructor(coordinator: Coordinator, waitUntil: ((work: Promise<unknown>) => void) | undefined, onEvent: OnEvent) {
    this.#coordinator = coordinator;
    this.#waitUntil = waitUntil;
    this.#onEvent = onEvent;
  }

  /** Refuses functions that the platform would stop early, before anything is registered. */
  check(targets: LocalTargets): void {
    if (Object.keys(targets).length === 0 || !this.#coordinator.isDistributed || this.#waitUntil !== undefined) return;
    if (isEphemeral()) throw new CoordinationError("misconfigured", EPHEMERAL);
  }

  /** Calls the target of the group's end once, when the group ends. */
  follow(groupId: string, { generation }: GroupStatus, targets: LocalTargets): void {
    if (Object.keys(targets).length === 0 || this.#followed.get(groupId) === generation) return;
    this.#followed.set(groupId, generation);
    const work = this.#follow(groupId, generation, targets)
      .catch((error: unknown) => this.#report(groupId, error))
      .finally(() => {
        if (this.#followed.get(groupId) === generation) this.#followed.delete(groupId);
      });
    try {
      this.#waitUntil?.(work);
    } catch (error) {
      // The group is registered anyway.
      this.#report(groupId, error);
    }
  }

  #report(id: string, error: unknown): void {
    emit(this.#onEvent, { type: "wake_failed", machine: "completion", id, error });
  }

  async #follow(groupId: string, generation: number, targets: LocalTargets): Promise<void> {
    const status = await this.#end(groupId, generation);
    // The group was restarted or expired before this instance saw the end: report that the function was not called.
    if (status === undefined) throw new CoordinationError("conflict", "the generation of a plain function is gone");
    const target = localTargetOf(status, targets);
    if (target === undefined) return;
    const { taken } = await this.#coordinator.run("completion.take", groupId, { op: newOp(), generation });
    if (taken) await target(status);
  }

  /** Returns the status at the end of this generation; `undefined` when the generation no longer exists. */
  async #end(groupId: string, generation: number): Promise<GroupStatus | undefined> {
    for (;;) {
      try {
        const options = { timeoutMs: WATCH_MS, background: true };
        const { view } = await this.#coordinator.watch(
          "completion.wait",
          groupId,
          { generation, background: true },
          options,
        );
        return view === undefined ? undefined : groupStatus(groupId, view);
      } catch (error) {
        if (!(error instanceof CoordinationError && error.code === "wait_timeout")) throw error;
      }
    }
  }
}
