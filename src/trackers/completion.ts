import type { Coordinator } from "../coordinator.js";
import { MAX_ERROR_BYTES } from "../core/limits.js";
import type { GroupStatus } from "../delivery/group-status.js";
import type { Payloads, Webhooks } from "../delivery/handler.js";
import { CoordinationError } from "../errors.js";
import { inSeconds } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions } from "../lib/known-options.js";
import { checkId, checkInteger, checkTtlSec, shortText } from "../lib/validate.js";
import { hookOrWarning } from "../runtime/events.js";
import { type CallOptions, callOptions, type GenerationOptions, traceOf } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { type DeliveryOptions, deliver } from "./deliver.js";
import type { WaitCallOptions } from "./end-or-look.js";
import { type AckResult, ackResult } from "./group/ack-result.js";
import { type AddedTask, announced } from "./group/announcement.js";
import {
  ACK_OPTIONS,
  type AckOptions,
  type AddResult,
  type CancelOptions,
  DECREMENT_OPTIONS,
  type DecrementOptions,
  type ExtendOptions,
  type Heartbeat,
  type RetryResult,
} from "./group/calls.js";
import { type GroupSignal, groupSignal } from "./group/group-signal.js";
import { type GroupList, type ListOptions, listGroups } from "./group/list.js";
import { LocalCallbacks } from "./group/local-callbacks.js";
import { GroupOperations, generationOf, statusOf } from "./group/operations.js";
import {
  GroupReader,
  type ProgressOptions,
  type ResultOptions,
  type ResultPage,
  type TaskOptions,
  type TaskPage,
  type TaskResult,
} from "./group/reader.js";
import { refuse } from "./group/refusals.js";
import {
  checkTasks,
  REGISTER_OPTIONS,
  type RegisterOptions,
  registered,
  registerInput,
  type Tasks,
} from "./group/registration.js";
import { type CompletionTrackerOptions, checkTimeout, type GroupSettings, groupSettings } from "./group/settings.js";
import { splitTargets } from "./group/target.js";
import { MAX_TOTAL, type Task, type TaskRef, taskAcks, taskKey } from "./group/task.js";

/**
 * A durable WaitGroup for a fan-out: detects when all tasks of a group are done, in any instance. It then runs the
 * callback at least once, with a delivery id as its idempotency key.
 *
 * A group is closed: it has a fixed list or number of tasks. Or it is `open`: tasks are added until it is sealed, and acks
 * hand on to further tasks.
 *
 * Every call is one round trip. Does not promise that a handler runs only once: a crash after the effect and before the
 * settlement repeats it. Does not change two groups in one step.
 *
 * @typeParam T the handlers' names with their payloads; inferred from `handlers`.
 *
 * @example
 * ```ts
 * import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
 *
 * const tracker = new CompletionTracker(new MemoryCoordinator());
 * await tracker.register("document-1", ["chunk-1", "chunk-2"], { timeoutSec: 600 });
 * await tracker.ack("document-1", "chunk-1");
 * const { ended } = await tracker.ack("document-1", "chunk-2"); // true
 * ```
 */
export class CompletionTracker<T extends Payloads = Payloads, Env = unknown> {
  readonly #coordinator: Coordinator;
  readonly #reader: GroupReader;
  readonly #webhooks: Webhooks | undefined;
  readonly #settings: GroupSettings;
  readonly #local: LocalCallbacks;
  readonly #operations: GroupOperations;
  readonly #stop: () => void;

  /**
   * @throws {CoordinationError} `invalid_input` for an option out of range, or for `retry` and `attemptTimeoutSec` without
   * handlers and webhooks; `unsupported` for any of these four where the backend delivers by itself; `misconfigured` without
   * a coordinator.
   */
  constructor(coordinator: Coordinator, options: CompletionTrackerOptions<T, Env> = {}) {
    checkCoordinator(coordinator);
    this.#settings = groupSettings(coordinator, options);
    this.#coordinator = coordinator;
    this.#reader = new GroupReader(coordinator, "completion");
    this.#operations = new GroupOperations({ coordinator, machine: "completion", waitUntil: options.waitUntil });
    this.#webhooks = options.webhooks;
    const onEvent = hookOrWarning(options.onEvent);
    this.#local = new LocalCallbacks(coordinator, options.waitUntil, onEvent);
    this.#stop = deliver(coordinator, { ...(options as DeliveryOptions), onEvent });
  }

  /**
   * Removes this tracker's handlers and webhooks, so that other trackers deliver. For a tracker that is made per request over
   * a coordinator that lives longer. All other calls still work.
   */
  close(): void {
    this.#stop();
  }

  /**
   * Registers a group: its tasks, their number, or `{ indexed: number }` for numbered tasks. Acks that arrived before now
   * count. A second registration with the same tasks, policy and durable targets does nothing, before the end and after it:
   * the deadline of the first one stays, and the status shows it. A group without tasks is complete at once, unless it is
   * `open`.
   *
   * @throws {CoordinationError} `conflict` when the group exists with other tasks, policy or targets, or when `restart.from` is
   * not its generation; `limit_exceeded` when 16 ended generations still wait for their delivery.
   */
  async register(groupId: string, tasks: Tasks, options: RegisterOptions<T> = {}): Promise<GroupStatus> {
    checkId(groupId, "groupId");
    checkOptions(options, REGISTER_OPTIONS);
    const given = checkTasks(tasks, options.open === true);
    const { durable, local } = splitTargets(options, this.#webhooks && ((url) => this.#webhooks?.check(url)));
    this.#local.check(local);
    const timeoutSec = checkTimeout(inSeconds(options.timeoutSec, "timeoutSec") ?? this.#settings.timeoutSec);
    const input = await registerInput(
      {
        machine: "completion",
        id: groupId,
        tasks: given,
        targets: durable,
        timeoutMs: Math.ceil(timeoutSec * 1000),
        ttlMs: checkTtlSec(options.ttlSec ?? this.#settings.ttlSec, "ttlSec"),
      },
      options as RegisterOptions,
    );
    const output = await this.#coordinator.run("completion.register", groupId, input, this.#operations.ending(options));
    const status = registered(groupId, output);
    this.#local.follow(groupId, status, local);
    return status;
  }

  /**
   * Adds one task or up to 1,000 tasks to an open group. Returns the new ones: start their work after this call. A task whose
   * ack came early counts at once. A task that the group has already is not added again.
   *
   * @throws {CoordinationError} `conflict` for a group that was registered without `open`; `limit_exceeded` beyond 100,000
   * tasks or 64 stages. Nothing is added then.
   */
  async add(
    groupId: string,
    tasks: AddedTask | readonly AddedTask[],
    options: GenerationOptions = {},
  ): Promise<AddResult> {
    const list = Array.isArray(tasks) ? (tasks as readonly AddedTask[]) : [tasks as AddedTask];
    return this.#operations.add(groupId, announced(list, "tasks"), options);
  }

  /**
   * Closes an open group to `add`. Only the `next` of acks still adds tasks. A group without an open task ends now. Returns
   * null for an unknown group or generation.
   */
  async seal(groupId: string, options: GenerationOptions = {}): Promise<GroupStatus | null> {
    return this.#operations.seal(groupId, options);
  }

  /**
   * Marks tasks as done. Any copy of a message may call it any number of times, before the registration too: a task counts
   * once, and the verdict describes this call.
   *
   * With `generation` an ack counts for that registration alone, and is never early. Without, it counts for the registration
   * that exists when it arrives: after a `restart`, a late ack of the earlier generation counts in the new one.
   *
   * @param task one, or a list of 1 to 1,000. A result is any JSON value of up to 16 KB; an error is cut to 1,024 bytes.
   * @param options.next tasks that follow, added in the same step if a task of the call counts. The group must be `open`.
   * @throws {CoordinationError} `invalid_input` for larger values, or for a task with both a result and an error; `conflict` for
   * `next` in a group that was registered without `open`; `limit_exceeded` when `next` exceeds a limit of the group. Nothing
   * is applied then.
   */
  async ack(groupId: string, task: Task, options?: AckOptions): Promise<AckResult>;
  async ack(groupId: string, tasks: readonly Task[], options?: AckOptions): Promise<AckResult[]>;
  async ack(groupId: string, tasks: Task | readonly Task[], options?: AckOptions): Promise<AckResult | AckResult[]>;
  async ack(
    groupId: string,
    tasks: Task | readonly Task[],
    options: AckOptions = {},
  ): Promise<AckResult | AckResult[]> {
    const isMany = Array.isArray(tasks);
    const { results } = await this.#ack(groupId, isMany ? (tasks as readonly Task[]) : [tasks as Task], options, false);
    return isMany ? results : (results[0] as AckResult);
  }

  /** Acks tasks, and returns the group's status of the same atomic step; null while it is not registered. */
  async ackAndStatus(
    groupId: string,
    tasks: readonly Task[],
    options: AckOptions = {},
  ): Promise<{ results: AckResult[]; status: GroupStatus | null }> {
    return this.#ack(groupId, tasks, options, true);
  }

  async #ack(
    groupId: string,
    tasks: readonly Task[],
    options: AckOptions,
    view: boolean,
  ): Promise<{ results: AckResult[]; status: GroupStatus | null }> {
    checkId(groupId, "groupId");
    const generation = generationOf(options, ACK_OPTIONS);
    const next =
      options.next === undefined
        ? {}
        : { next: this.#operations.announcement(groupId, announced(options.next, "next")) };
    const input = {
      op: newOp(),
      tasks: taskAcks(tasks),
      earlyTtlMs: this.#settings.earlyTtlMs,
      ...generation,
      ...next,
      ...(view ? { view } : {}),
      ...traceOf(options),
    };
    const output = await this.#coordinator.run("completion.ack", groupId, input, this.#operations.ending(options));
    refuse(output.refused);
    return { results: output.results.map(ackResult), status: statusOf(groupId, output) };
  }

  /**
   * Marks a task as failed for good: it counts as settled, with its error. Do not call it for a task that will be retried.
   *
   * @param message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async fail(groupId: string, task: TaskRef, message: string, options: AckOptions = {}): Promise<AckResult> {
    const error = shortText(message, "message", MAX_ERROR_BYTES);
    return this.ack(groupId, { ...taskKey(task, "task"), error }, options);
  }

  /**
   * Counts `by` tasks that have no ids. Returns how many remain, or null for an unknown group. `opId` is an idempotency key:
   * pass the message's id when the caller may run again. A group remembers its last 1,000 calls, each for `ttlSec`. Does not
   * recognise older calls: if messages may arrive later, register the total and `ack` each task by its message's id.
   *
   * With `generation` the call counts for that registration alone, and returns null while another one exists. Without, a
   * late copy from before a `restart` counts in the new generation.
   *
   * @param by 1 to 1,000,000,000, default 1. An excess over the remaining tasks is ignored.
   * @throws {CoordinationError} `conflict` for a group that was registered with its tasks' ids.
   */
  async decrement(groupId: string, by = 1, options: DecrementOptions = {}): Promise<number | null> {
    checkId(groupId, "groupId");
    checkInteger(by, "by", 1, MAX_TOTAL);
    const generation = generationOf(options, DECREMENT_OPTIONS);
    const { opId = newOp() } = options;
    checkId(opId, "opId");
    const input = { op: opId, by, ...generation, ...traceOf(options) };
    const output = await this.#coordinator.run(
      "completion.decrement",
      groupId,
      input,
      this.#operations.ending(options),
    );
    if (output.refused !== undefined) {
      throw new CoordinationError("conflict", "the group lists its tasks: ack them by id");
    }
    return output.remaining ?? null;
  }

  /**
   * Opens failed tasks again, while the group is open. Returns those that it opened: start their work after this call. Nothing
   * is opened after the end. To be able to retry the last failure, keep the group unsealed; after the end, restart it with
   * `keep: "succeeded"`.
   *
   * @param tasks one, or a list of 1 to 1,000.
   */
  async retry(
    groupId: string,
    tasks: TaskRef | readonly TaskRef[],
    options: GenerationOptions = {},
  ): Promise<RetryResult> {
    return this.#operations.retry(groupId, tasks, options);
  }

  /**
   * Moves the deadline of an open group to `timeoutSec` from now, if that is later. A group without a deadline stays without
   * one. Returns the status, whose `deadlineAtMs` shows the deadline; null for an unknown group.
   */
  async extend(groupId: string, options: ExtendOptions): Promise<GroupStatus | null> {
    return this.#operations.extend(groupId, options);
  }

  /**
   * Postpones the idle end of a group, for a task that takes longer than `idleTimeoutSec`; in a group without a deadline also
   * the end after `ttlSec`. Returns whether the work is still worth doing. Writes at most every eighth of that time.
   */
  async heartbeat(groupId: string, options: GenerationOptions = {}): Promise<Heartbeat> {
    return this.#operations.heartbeat(groupId, options);
  }

  /**
   * Ends an open group; an ended one does not change. Returns null for an unknown group. With `generation` it ends that
   * registration alone. A delayed copy of the call then does not end the next one. Child groups of open tasks are cancelled
   * too, by a delivery, unless `cascade` is false.
   *
   * @param reason cut to 1,024 bytes of UTF-8, between two characters.
   */
  async cancel(groupId: string, reason: string, options: CancelOptions = {}): Promise<GroupStatus | null> {
    return this.#operations.cancel(groupId, reason, options);
  }

  /**
   * Removes a group before its TTL is over: an open group is cancelled first. Pending deliveries are still made. For a minute,
   * late copies of the group's calls have no effect. Returns false for an unknown group.
   */
  async remove(groupId: string, options: CallOptions = {}): Promise<boolean> {
    return this.#operations.remove(groupId, options);
  }

  /** Returns the group's current status; null for a group that is unknown, not registered yet, or expired. */
  async status(groupId: string, options: CallOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    return this.#reader.status(groupId, callOptions(options));
  }

  /**
   * Returns the group's status at its end, or its current status when the time is over; null when the group is unknown then.
   * An unknown group may still be registered, so the wait goes on. A wait postpones the end of a group that has neither a
   * deadline nor an idle timeout, for at most 30 days after its last change.
   *
   * The status of a group that has not ended is at most 0.5 s old.
   *
   * @throws {CoordinationError} `wait_timeout`, retryable, when the backend does not answer in time. An abort rejects with
   * `signal.reason`.
   */
  async wait(groupId: string, options: WaitCallOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    return this.#reader.wait(groupId, options);
  }

  /**
   * Lists tasks in the order of their announcement; null for an unknown group. A page looks at `limit` tasks: with `state` it
   * may hold fewer, or none. Pass `next` as `after` until it is null.
   *
   * @throws {CoordinationError} `unsupported` for a group that was registered with a number of tasks.
   */
  async tasks(groupId: string, options: TaskOptions = {}): Promise<TaskPage | null> {
    checkId(groupId, "groupId");
    return this.#reader.tasks(groupId, options);
  }

  /**
   * Returns the results of acks after position `after` (0: from the first), in the order in which they counted or in that of
   * the registration; null for an unknown group. A page holds `limit` results, or fewer when they are large: 1 MB, or less
   * where many pages share a request. Pass `next` as `after` until it is null.
   *
   * @throws {CoordinationError} `unsupported` for the order of the registration where no list was registered.
   */
  async results(groupId: string, options: ResultOptions = {}): Promise<ResultPage | null> {
    checkId(groupId, "groupId");
    return this.#reader.results(groupId, options);
  }

  /**
   * Returns every result of acks, page by page, in the order in which they counted; none for an unknown group. Includes
   * results that arrive while the pages are read. Costs one call a page.
   *
   * @example
   * ```ts
   * import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
   *
   * const tracker = new CompletionTracker(new MemoryCoordinator());
   * for await (const { taskId, result } of tracker.allResults("document-1")) {
   *   // taskId: "chunk-1"
   * }
   * ```
   */
  async *allResults(groupId: string, options: ResultOptions = {}): AsyncGenerator<TaskResult, void> {
    checkId(groupId, "groupId");
    yield* this.#reader.allResults(groupId, options);
  }

  /**
   * Yields the status of the group whenever it has changed, the end last. Intermediate changes arrive within about a second,
   * several at a time; the end arrives at once. Waits for a group that is not registered yet, and keeps an open group alive as
   * a wait does. Ends without a status when the group has expired or was removed.
   *
   * @example
   * ```ts
   * import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
   *
   * const tracker = new CompletionTracker(new MemoryCoordinator());
   * await tracker.register("document-1", []);
   * for await (const { succeeded, total } of tracker.progress("document-1")) {
   *   // succeeded: 0, total: 0
   * }
   * ```
   */
  async *progress(groupId: string, options: ProgressOptions = {}): AsyncGenerator<GroupStatus, void> {
    checkId(groupId, "groupId");
    yield* this.#reader.progress(groupId, options);
  }

  /**
   * Returns the status once its version is another than `after`; waits for a group that is not registered yet. For one step of
   * `progress`, such as in a long poll.
   *
   * @param after the `version` of the last status; "" for the current one.
   * @throws {CoordinationError} `wait_timeout` when nothing changed. An abort rejects with `signal.reason`.
   */
  async newer(groupId: string, after: string, options: WaitCallOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    return this.#reader.newer(groupId, after, options);
  }

  /**
   * Lists groups by their state or by the delivery that they owe, one page a call. Open groups come with the oldest
   * registration first, all others with the newest end first. A page may hold fewer items than `limit`, or none: go on until
   * `next` is null. A group that stays in its state is on one page exactly, whatever is written between the pages.
   *
   * Does not list removed groups, nor early acks without a registration. A group that a version without lists stored is listed
   * from its next change on. On Durable Objects the list is some seconds late, and a page of open groups holds 40 at most.
   *
   * @throws {CoordinationError} `unsupported` for a backend without an index.
   *
   * @example
   * ```ts
   * import { CompletionTracker, MemoryCoordinator } from "edge-coordinator";
   *
   * const tracker = new CompletionTracker(new MemoryCoordinator());
   * const { items, next } = await tracker.list({ state: "stuck", olderThanSec: "10m" });
   * ```
   */
  async list(options: ListOptions = {}): Promise<GroupList> {
    return listGroups(this.#coordinator, options);
  }

  /**
   * Returns a signal that aborts when the group ends, so that work on its remaining tasks stops. It follows the generation
   * that it sees first. Call `dispose` when the work is done: until then the signal watches the group.
   *
   * Does not abort when the backend fails for good: the work goes on, and its acks say what they did.
   */
  signal(groupId: string): GroupSignal {
    checkId(groupId, "groupId");
    return groupSignal(this.#reader, groupId);
  }

  /**
   * Queues the group's deliveries again, whether delivered or dead, and the dead letters of its earlier generations. They keep
   * their delivery ids and get a full set of attempts. Returns null for an unknown group. Does nothing when there is no
   * delivery, or when `generation` is not the group's. A dead letter is kept for seven days.
   */
  async redeliver(groupId: string, options: GenerationOptions = {}): Promise<GroupStatus | null> {
    return this.#operations.redeliver(groupId, options);
  }
}
