import type { Coordinator } from "../coordinator.js";
import type { GroupView } from "../core/group/record.js";
import { type GroupStatus, groupStatus } from "../delivery/group-status.js";
import type { Payloads, Webhooks } from "../delivery/handler.js";
import { CoordinationError } from "../errors.js";
import { AbortListeners } from "../lib/abort-listeners.js";
import { type Duration, inSeconds } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger, checkNumber, checkTtlSec, MAX_SEC, shortText, toJson } from "../lib/validate.js";
import type { RunOptions } from "../runtime/backend.js";
import { hookOrWarning } from "../runtime/events.js";
import { type AckResult, ackResult } from "./ack-result.js";
import { type CallOptions, callOptions, type GenerationOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { type DeliveryOptions, deliver } from "./deliver.js";
import { endOrLook, type WaitCallOptions } from "./end-or-look.js";
import { LocalCallbacks } from "./local-callbacks.js";
import {
  checkRestart,
  checkTasks,
  MAX_METADATA_BYTES,
  MAX_TOTAL,
  REGISTER_OPTIONS,
  type RegisterOptions,
  registered,
  type Tasks,
} from "./registration.js";
import { specDigest } from "./spec.js";
import { splitTargets } from "./target.js";
import { MAX_ERROR_BYTES, type Task, type TaskId, taskAcks } from "./task.js";

/** Options of a `CompletionTracker`. */
export interface CompletionTrackerOptions<T extends Payloads = Payloads, Env = unknown>
  extends DeliveryOptions<T, Env> {
  /** The deadline of groups that set none, in seconds, at most a year; 0 for none. Default: the coordinator's, else 1800. */
  readonly timeoutSec?: Duration;
  /**
   * How long an ended group stays readable and refuses late acks, in seconds. An open group without a deadline ends as
   * `timed_out` when no call changes it or waits for it for this time. Default: the coordinator's `ttlSec`, else 3600.
   */
  readonly ttlSec?: Duration;
  /** How long an ack that arrives before its group's registration is kept, in seconds. Default 300. */
  readonly earlyTtlSec?: Duration;
}

/** A page of the results of acks. */
export interface ResultPage {
  readonly items: readonly { readonly taskId: string; readonly result: unknown }[];
  /** The `after` of the next page; null on the last page. */
  readonly next: number | null;
}

/** Which results a page holds. */
export interface ResultOptions extends CallOptions {
  /** The `next` of the previous page. @default 0 */
  readonly after?: number | undefined;
  /** 1 to 1,000. @default 100 */
  readonly limit?: number | undefined;
}

const TRACKER_OPTIONS: Names<CompletionTrackerOptions> = {
  handlers: true,
  env: true,
  waitUntil: true,
  webhooks: true,
  retry: true,
  attemptTimeoutSec: true,
  onEvent: true,
  timeoutSec: true,
  ttlSec: true,
  earlyTtlSec: true,
};
const GENERATION_OPTIONS: Names<GenerationOptions> = { generation: true, signal: true };
const DECREMENT_OPTIONS = { ...GENERATION_OPTIONS, opId: true } as const;
const RESULT_OPTIONS: Names<ResultOptions> = { after: true, limit: true, signal: true };
const DEFAULT_TTL_SEC = 3_600;
const DEFAULT_TIMEOUT_SEC = 1_800;

/**
 * A durable WaitGroup for a fan-out: detects when all tasks of a group are done, in any instance. It then runs the
 * callback at least once, with a delivery id as its idempotency key.
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
  readonly #signals = new AbortListeners();
  readonly #coordinator: Coordinator;
  readonly #webhooks: Webhooks | undefined;
  readonly #timeoutSec: number;
  readonly #ttlSec: Duration;
  readonly #earlyTtlMs: number;
  readonly #local: LocalCallbacks;
  /** Options of the calls that may end a group. */
  readonly #ending: RunOptions;
  readonly #stop: () => void;

  /**
   * @throws {CoordinationError} `invalid_input` for an option out of range, or for `retry` and `attemptTimeoutSec` without
   * handlers and webhooks; `unsupported` for any of these four where the backend delivers by itself; `misconfigured` without
   * a coordinator.
   */
  constructor(coordinator: Coordinator, options: CompletionTrackerOptions<T, Env> = {}) {
    checkCoordinator(coordinator);
    checkOptions(options, TRACKER_OPTIONS);
    this.#coordinator = coordinator;
    this.#webhooks = options.webhooks;
    this.#timeoutSec =
      inSeconds(options.timeoutSec, "timeoutSec") ?? coordinator.completionTimeoutSec ?? DEFAULT_TIMEOUT_SEC;
    checkNumber(this.#timeoutSec, "timeoutSec", 0, MAX_SEC);
    this.#ttlSec = options.ttlSec ?? (coordinator.defaultTtlSec || DEFAULT_TTL_SEC);
    checkTtlSec(this.#ttlSec, "ttlSec");
    this.#earlyTtlMs = checkTtlSec(options.earlyTtlSec ?? 300, "earlyTtlSec");
    const onEvent = hookOrWarning(options.onEvent);
    this.#local = new LocalCallbacks(coordinator, options.waitUntil, onEvent);
    this.#ending = { waitUntil: options.waitUntil };
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
   * Registers a group: the ids of its tasks, their number, or `{ indexed: number }` for numbered tasks. Acks that arrived
   * before now count. A second registration with the same tasks and durable targets does nothing, before the end and after
   * it. A group without tasks is complete at once.
   *
   * @throws {CoordinationError} `conflict` when the group exists with other tasks or targets, or when `restart.from` is not its
   * generation; `limit_exceeded` when 16 ended generations still wait for their delivery.
   */
  async register(groupId: string, tasks: Tasks, options: RegisterOptions<T> = {}): Promise<GroupStatus> {
    checkId(groupId, "groupId");
    checkOptions(options, REGISTER_OPTIONS);
    const given = checkTasks(tasks);
    const { durable, local } = splitTargets(options, this.#webhooks && ((url) => this.#webhooks?.check(url)));
    const timeoutSec = inSeconds(options.timeoutSec, "timeoutSec") ?? this.#timeoutSec;
    checkNumber(timeoutSec, "timeoutSec", 0, MAX_SEC);
    const ttlMs = checkTtlSec(options.ttlSec ?? this.#ttlSec, "ttlSec");
    const restart = checkRestart(options.restart);
    this.#local.check(local);
    const metadata =
      options.metadata === undefined ? undefined : toJson(options.metadata, "metadata", MAX_METADATA_BYTES);
    const op = newOp();
    const output = await this.#coordinator.run(
      "completion.register",
      groupId,
      {
        op,
        spec: await specDigest(given, "all-settled", durable),
        ...given,
        timeoutMs: Math.ceil(timeoutSec * 1000),
        ttlMs,
        deliveryId: `msg_${op}`,
        ...(durable === undefined ? {} : { targets: durable }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(restart === undefined ? {} : { restart }),
      },
      { ...this.#ending, signal: options.signal },
    );
    const status = registered(groupId, output);
    this.#local.follow(groupId, status, local);
    return status;
  }

  /**
   * Marks tasks as done. Any copy of a message may call it any number of times, before the registration too: a task counts
   * once, and the verdict describes this call.
   *
   * With `generation` an ack counts for that registration alone, and is never early. Without, it counts for the registration
   * that exists when it arrives: after a `restart`, a late ack of the earlier generation counts in the new one.
   *
   * @param task one, or a list of 1 to 1,000. A result is any JSON value of up to 16 KB; an error is cut to 1,024 bytes.
   * @throws {CoordinationError} `invalid_input` for larger values, or for a task with both a result and an error.
   */
  async ack(groupId: string, task: Task, options?: GenerationOptions): Promise<AckResult>;
  async ack(groupId: string, tasks: readonly Task[], options?: GenerationOptions): Promise<AckResult[]>;
  async ack(
    groupId: string,
    tasks: Task | readonly Task[],
    options?: GenerationOptions,
  ): Promise<AckResult | AckResult[]>;
  async ack(
    groupId: string,
    tasks: Task | readonly Task[],
    options: GenerationOptions = {},
  ): Promise<AckResult | AckResult[]> {
    const isMany = Array.isArray(tasks);
    const { results } = await this.#ack(groupId, isMany ? (tasks as readonly Task[]) : [tasks as Task], options, false);
    return isMany ? results : (results[0] as AckResult);
  }

  /** Acks tasks, and returns the group's status of the same atomic step; null while it is not registered. */
  async ackAndStatus(
    groupId: string,
    tasks: readonly Task[],
    options: GenerationOptions = {},
  ): Promise<{ results: AckResult[]; status: GroupStatus | null }> {
    return this.#ack(groupId, tasks, options, true);
  }

  async #ack(
    groupId: string,
    tasks: readonly Task[],
    options: GenerationOptions,
    view: boolean,
  ): Promise<{ results: AckResult[]; status: GroupStatus | null }> {
    checkId(groupId, "groupId");
    const generation = checkGeneration(options);
    const output = await this.#coordinator.run(
      "completion.ack",
      groupId,
      {
        op: newOp(),
        tasks: taskAcks(tasks),
        earlyTtlMs: this.#earlyTtlMs,
        ...(generation === undefined ? {} : { generation }),
        ...(view ? { view } : {}),
      },
      { ...this.#ending, signal: options.signal },
    );
    return {
      results: output.results.map(ackResult),
      status: output.view === undefined ? null : groupStatus(groupId, output.view),
    };
  }

  /**
   * Marks a task as failed for good: it counts as settled, with its error. Do not call it for a task that will be retried.
   *
   * @param message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async fail(groupId: string, taskId: TaskId, message: string, options: GenerationOptions = {}): Promise<AckResult> {
    return this.ack(groupId, { id: taskId, error: shortText(message, "message", MAX_ERROR_BYTES) }, options);
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
  async decrement(
    groupId: string,
    by = 1,
    options: GenerationOptions & { readonly opId?: string | undefined } = {},
  ): Promise<number | null> {
    checkId(groupId, "groupId");
    checkInteger(by, "by", 1, MAX_TOTAL);
    const generation = checkGeneration(options, DECREMENT_OPTIONS);
    const { opId = newOp() } = options;
    checkId(opId, "opId");
    const output = await this.#coordinator.run(
      "completion.decrement",
      groupId,
      { op: opId, by, ...(generation === undefined ? {} : { generation }) },
      { ...this.#ending, signal: options.signal },
    );
    if (output.refused !== undefined) {
      throw new CoordinationError("conflict", "the group lists its tasks: ack them by id");
    }
    return output.remaining ?? null;
  }

  /**
   * Ends an open group; an ended one does not change. Returns null for an unknown group. With `generation` it ends that
   * registration alone. A delayed copy of the call then does not end the next one.
   *
   * @param reason cut to 1,024 bytes of UTF-8, between two characters.
   */
  async cancel(groupId: string, reason: string, options: GenerationOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    const generation = checkGeneration(options);
    const { view } = await this.#coordinator.run(
      "completion.cancel",
      groupId,
      {
        reason: shortText(reason, "reason", MAX_ERROR_BYTES),
        ...(generation === undefined ? {} : { generation }),
      },
      { ...this.#ending, signal: options.signal },
    );
    return view === undefined ? null : groupStatus(groupId, view);
  }

  /** Returns the group's current status; null for a group that is unknown, not registered yet, or expired. */
  async status(groupId: string, options: CallOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    const { view } = await this.#coordinator.run("completion.status", groupId, {}, callOptions(options));
    return view === undefined ? null : groupStatus(groupId, view);
  }

  /**
   * Returns the group's status at its end, or its current status when the time is over; null when the group is unknown then.
   * An unknown group may still be registered, so the wait goes on. A wait postpones the end of a group without a deadline, for
   * at most 30 days after its last change.
   *
   * The status of a group that has not ended is at most 0.5 s old.
   *
   * @throws {CoordinationError} `wait_timeout`, retryable, when the backend does not answer in time. An abort rejects with
   * `signal.reason`.
   */
  async wait(groupId: string, options: WaitCallOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    const { view } = await endOrLook<{ view?: GroupView }>(options, {
      signals: this.#signals,
      watch: async (watching) => {
        const output = await this.#coordinator.watch("completion.wait", groupId, {}, watching);
        if (output.view !== undefined) return output;
        throw new CoordinationError("backend_rejected", "a group that has ended came without its status");
      },
      look: (signal) => this.#coordinator.run("completion.status", groupId, {}, { signal }),
    });
    return view === undefined ? null : groupStatus(groupId, view);
  }

  /**
   * Returns the results of acks after position `after` (0: from the first), in the order in which they counted; null for an
   * unknown group. A page holds `limit` results, or fewer when they are large: 1 MB, or less where many pages share a request.
   * Pass `next` as `after` until it is null.
   *
   * @param options.limit 1 to 1000, default 100.
   */
  async results(groupId: string, options: ResultOptions = {}): Promise<ResultPage | null> {
    checkId(groupId, "groupId");
    checkOptions(options, RESULT_OPTIONS);
    const { after = 0, limit = 100, signal } = options;
    checkInteger(after, "after", 0, MAX_TOTAL);
    checkInteger(limit, "limit", 1, 1_000);
    const page = await this.#coordinator.run("completion.results", groupId, { after, limit }, { signal });
    if (!page.found) return null;
    const items = page.items.map(({ taskId, result }) => ({ taskId, result: JSON.parse(result) as unknown }));
    return { items, next: page.next ?? null };
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
  async *allResults(groupId: string, options: ResultOptions = {}): AsyncGenerator<ResultPage["items"][number], void> {
    let { after }: { readonly after?: number | null | undefined } = options;
    do {
      const page = await this.results(groupId, { ...options, after: after ?? 0 });
      if (page === null) return;
      yield* page.items;
      after = page.next;
    } while (after !== null);
  }

  /**
   * Queues the group's delivery again, dead letter or delivered, and the dead letters of its earlier generations. They keep
   * their delivery ids and get a full set of attempts. Returns null for an unknown group. Does nothing when there is no
   * delivery, or when `generation` is not the group's. A dead letter is kept for seven days.
   */
  async redeliver(groupId: string, options: GenerationOptions = {}): Promise<GroupStatus | null> {
    checkId(groupId, "groupId");
    const generation = checkGeneration(options);
    const input = { op: newOp(), ...(generation === undefined ? {} : { generation }) };
    const { view } = await this.#coordinator.run("completion.redeliver", groupId, input, {
      ...this.#ending,
      signal: options.signal,
    });
    return view === undefined ? null : groupStatus(groupId, view);
  }
}

function checkGeneration(
  options: GenerationOptions,
  known: Readonly<Record<string, true>> = GENERATION_OPTIONS,
): number | undefined {
  checkOptions(options, known);
  const { generation } = options;
  if (generation !== undefined) checkInteger(generation, "generation", 0, Number.MAX_SAFE_INTEGER);
  return generation;
}
