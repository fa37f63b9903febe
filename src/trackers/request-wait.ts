import type { Coordinator } from "../coordinator.js";
import type { TaskAck } from "../core/group/record.js";
import { MAX_ERROR_BYTES } from "../core/limits.js";
import type { GroupStatus } from "../delivery/group-status.js";
import type { Payloads, Webhooks } from "../delivery/handler.js";
import { CoordinationError } from "../errors.js";
import { type Duration, inSeconds } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions } from "../lib/known-options.js";
import { checkId, checkInteger, checkNumber, MAX_SEC, shortText, toJson } from "../lib/validate.js";
import { hookOrWarning } from "../runtime/events.js";
import { type CallOptions, callOptions, type GenerationOptions, type TraceOptions, traceOf } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { type DeliveryOptions, deliver } from "./deliver.js";
import type { WaitCallOptions } from "./end-or-look.js";
import { announced } from "./group/announcement.js";
import type { CancelOptions, ExtendOptions, RetryResult } from "./group/calls.js";
import type { GroupList } from "./group/list.js";
import { GroupOperations, statusOf } from "./group/operations.js";
import {
  GroupReader,
  type ProgressOptions,
  type ResultOptions,
  type ResultPage,
  type TaskOptions,
  type TaskPage,
} from "./group/reader.js";
import { refuse } from "./group/refusals.js";
import { checkTasks, type RegisterOptions, registered, registerInput } from "./group/registration.js";
import { splitTargets } from "./group/target.js";
import { checkStage, errorFields, MAX_RESULT_BYTES, type TaskId, taskKey } from "./group/task.js";
import { tasksOf } from "./request/added-tasks.js";
import {
  type AbandonResult,
  type AddTasksResult,
  COUNT,
  DONE_OPTIONS,
  FAIL_OPTIONS,
  FAILURE,
  MAX_COUNT,
  NEXT,
  type NextTasks,
  REGISTER_OPTIONS,
  type RequestRegisterOptions,
  type RequestResult,
  type StageCount,
  type TaskDoneOptions,
  type TaskIds,
} from "./request/calls.js";
import { type ListedRequest, listRequests, type RequestListOptions } from "./request/list.js";
import { checkRequestTtl, type RequestWaitOptions, requestTtl } from "./request/settings.js";
import { checkStages } from "./request/stages.js";
import { type RequestStatus, requestStatus, stateAfter } from "./request/status.js";

const EARLY_TTL_MS = 300_000;

/**
 * Lets an HTTP request, or any other caller, wait until all work that it started is done: an open group whose tasks have
 * stages, with counts for each stage.
 *
 * A request is pending until its first task is added, or until it is sealed. Then it is complete as soon as no task is open.
 * Another task makes it pending again, unless it is sealed: a sealed and complete request has ended. Every call is one round
 * trip and one atomic step: no reader sees a task settled without its error, or between two stages.
 *
 * A request `x` and a group `x` are different records.
 *
 * @typeParam S the stages' names; inferred from `stages`.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator, RequestWaitTracker } from "edge-coordinator";
 *
 * const requests = new RequestWaitTracker(new MemoryCoordinator(), { stages: ["parse", "embed"] });
 * await requests.register("request-1");
 * await requests.add("request-1", "parse", "document-1");
 * // a worker that has parsed it, and hands it on:
 * await requests.ack("request-1", "parse", "document-1", { next: [{ stage: "embed", taskIds: "document-1" }] });
 * await requests.fail("request-1", "embed", "document-1", "the model is overloaded");
 * const end = await requests.wait("request-1", { timeoutMs: 5_000 });
 * // { state: "complete", stages: { parse: { processed: 1, … }, embed: { errorCount: 1, … } }, … }
 * ```
 */
export class RequestWaitTracker<S extends string = string, T extends Payloads = Payloads, Env = unknown> {
  /** The stages of the options; empty for `"any"`. */
  readonly stages: readonly S[];
  readonly #isAnyStage: boolean;
  readonly #coordinator: Coordinator;
  readonly #reader: GroupReader;
  readonly #ttlSec: Duration;
  readonly #webhooks: Webhooks | undefined;
  readonly #operations: GroupOperations;
  readonly #stop: () => void;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: RequestWaitOptions<S, T, Env>) {
    checkCoordinator(coordinator);
    this.#ttlSec = requestTtl(coordinator, options);
    this.#coordinator = coordinator;
    this.#reader = new GroupReader(coordinator, "request");
    this.#operations = new GroupOperations({ coordinator, machine: "request", waitUntil: options.waitUntil });
    this.#isAnyStage = options.stages === "any";
    this.stages = options.stages === "any" ? [] : checkStages(options.stages);
    this.#webhooks = options.webhooks;
    const onEvent = hookOrWarning(options.onEvent);
    this.#stop = deliver(coordinator, { ...(options as DeliveryOptions), onEvent });
  }

  /** Removes this tracker's handlers and webhooks, so that other trackers deliver. All other calls still work. */
  close(): void {
    this.#stop();
  }

  /**
   * Registers a request; call it before the first message is sent. A registered request keeps its tasks and counts. The
   * targets must be durable, and receive the end.
   *
   * @throws {CoordinationError} `conflict` when the request is registered with other targets or another parent.
   */
  async register(requestId: string, options: RequestRegisterOptions<T> = {}): Promise<RequestStatus<S>> {
    checkId(requestId, "requestId");
    checkOptions(options, REGISTER_OPTIONS);
    const { caller = newOp(), signal } = options;
    checkId(caller, "caller");
    const { durable, local } = splitTargets(options, this.#webhooks && ((url) => this.#webhooks?.check(url)));
    if (Object.keys(local).length > 0) {
      throw new CoordinationError("invalid_input", "the targets of a request must be durable, not plain functions");
    }
    const timeoutSec = inSeconds(options.timeoutSec, "timeoutSec") ?? 0;
    checkNumber(timeoutSec, "timeoutSec", 0, MAX_SEC);
    const input = await registerInput(
      {
        machine: "request",
        id: requestId,
        tasks: checkTasks([], true),
        targets: durable,
        timeoutMs: Math.ceil(timeoutSec * 1000),
        ttlMs: checkRequestTtl(options.ttlSec ?? this.#ttlSec),
        op: caller,
      },
      options as RegisterOptions,
    );
    const output = await this.#coordinator.run(
      "request.register",
      requestId,
      input,
      this.#operations.ending({ signal }),
    );
    return requestStatus(this.stages, registered(requestId, output));
  }

  /**
   * Cancels a request whose caller has failed, such as an HTTP handler that threw, so that its waiters resolve. The end stays
   * readable for the TTL. The next `register` begins anew, so that the client can send the request again.
   *
   * Does not cancel a request that another caller has registered and not abandoned, nor a sealed one. A request with more than
   * 16 callers cannot be abandoned.
   *
   * @param failure.caller the name that `register` was given.
   * @param failure.message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async abandon(
    requestId: string,
    failure: { readonly caller: string; readonly message: string },
    options: CallOptions = {},
  ): Promise<AbandonResult<S>> {
    checkId(requestId, "requestId");
    checkOptions(failure, FAILURE);
    const { caller, message } = failure;
    checkId(caller, "caller");
    const input = { op: newOp(), caller, reason: shortText(message, "message", MAX_ERROR_BYTES) };
    const output = await this.#coordinator.run(
      "request.abandon",
      requestId,
      input,
      this.#operations.ending(callOptions(options)),
    );
    return { outcome: output.outcome, status: this.#ofGroup(statusOf(requestId, output)) };
  }

  /**
   * Adds one task or up to 1,000 tasks that the request waits for. Adding one again does nothing. A task whose ack came first
   * is done at once: its counts are added, and so are its `next` tasks.
   *
   * @param taskIds ids; or `{ id, group }`, with the child group that is cancelled when the request ends and the task is open.
   * @throws {CoordinationError} `limit_exceeded` beyond 100,000 tasks.
   */
  async add(requestId: string, stage: S, taskIds: TaskIds, options: CallOptions = {}): Promise<AddTasksResult<S>> {
    checkId(requestId, "requestId");
    this.#checkStage(stage, "stage");
    const tasks = tasksOf(stage, taskIds, "taskIds");
    if (tasks.length === 0) throw new CoordinationError("invalid_input", "taskIds must hold at least one id");
    const { outcome, added, status } = await this.#operations.add(
      requestId,
      announced(tasks, "taskIds"),
      callOptions(options),
    );
    return { outcome, added: added.map(({ taskId }) => taskId), status: this.#ofGroup(status) };
  }

  /**
   * Closes the request to new tasks, except the `next` tasks of open ones. Once no task is open it has ended. A request without
   * tasks ends at once. Returns null for an unknown request.
   */
  async seal(requestId: string, options: CallOptions = {}): Promise<RequestStatus<S> | null> {
    return this.#ofGroup(await this.#operations.seal(requestId, callOptions(options)));
  }

  /**
   * Marks a task as done. Any copy of a message may call it: a task counts once, and a failed task stays failed. The ack of a
   * task that is not announced is kept (`early`), and counts with its announcement.
   *
   * @throws {CoordinationError} `limit_exceeded` when a limit of the request is reached. Nothing is applied then.
   */
  async ack(requestId: string, stage: S, taskId: TaskId, options: TaskDoneOptions<S> = {}): Promise<RequestResult> {
    checkOptions(options, DONE_OPTIONS);
    const { processed = 1, result, next = [], signal } = options;
    checkInteger(processed, "processed", 0, MAX_COUNT);
    const done = {
      processed,
      ...(result === undefined ? {} : { result: toJson(result, "result", MAX_RESULT_BYTES) }),
    };
    return this.#ack(
      requestId,
      { ...this.#taskOf(stage, taskId), ...done },
      { more: { ...this.#nextOf(requestId, next), ...traceOf(options) }, signal },
    );
  }

  /**
   * Marks a task as failed for good, and counts its error in the same step. Do not call it for work that will be retried.
   *
   * @param message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async fail(
    requestId: string,
    stage: S,
    taskId: TaskId,
    message: string,
    options: TraceOptions = {},
  ): Promise<RequestResult> {
    checkOptions(options, FAIL_OPTIONS);
    const failed = { ...this.#taskOf(stage, taskId), ...errorFields(message, "message") };
    return this.#ack(requestId, failed, { more: traceOf(options), signal: options.signal });
  }

  /** Counts what settles no task. A call that the client resends counts once. A second call counts again. */
  async count(requestId: string, stage: S, counts: StageCount, options: CallOptions = {}): Promise<RequestResult> {
    checkId(requestId, "requestId");
    this.#checkStage(stage, "stage");
    checkOptions(counts, COUNT, "counts");
    const { processed, requeued, error } = counts;
    if (processed === undefined && requeued === undefined && error === undefined) {
      throw new CoordinationError("invalid_input", "counts must have processed, requeued or error");
    }
    if (processed !== undefined) checkInteger(processed, "processed", 0, MAX_COUNT);
    if (requeued !== undefined) checkInteger(requeued, "requeued", 0, MAX_COUNT);
    const input = {
      op: newOp(),
      stage,
      ...(processed === undefined ? {} : { processed }),
      ...(requeued === undefined ? {} : { requeued }),
      ...(error === undefined ? {} : errorFields(error, "error")),
    };
    const output = await this.#coordinator.run("request.count", requestId, input, callOptions(options));
    refuse(output.refused);
    const { verdict, state, complete = false } = output;
    return { verdict, state: stateAfter({ state, complete }) };
  }

  /** Opens failed tasks of a stage again, while the request has not ended. See `CompletionTracker.retry`. */
  async retry(
    requestId: string,
    stage: S,
    taskIds: TaskId | readonly TaskId[],
    options: CallOptions = {},
  ): Promise<{ readonly outcome: RetryResult["outcome"]; readonly reopened: readonly string[] }> {
    this.#checkStage(stage, "stage");
    const ids = Array.isArray(taskIds) ? (taskIds as readonly TaskId[]) : [taskIds as TaskId];
    const tasks = Array.from(ids, (id) => ({ stage, id }));
    const { outcome, reopened } = await this.#operations.retry(requestId, tasks, callOptions(options));
    return { outcome, reopened: reopened.map(({ taskId }) => taskId) };
  }

  /** Moves the deadline of a pending request to a later instant. See `CompletionTracker.extend`. */
  async extend(requestId: string, options: ExtendOptions): Promise<RequestStatus<S> | null> {
    return this.#ofGroup(await this.#operations.extend(requestId, options));
  }

  /** Queues the request's deliveries again. See `CompletionTracker.redeliver`. */
  async redeliver(requestId: string, options: GenerationOptions = {}): Promise<RequestStatus<S> | null> {
    return this.#ofGroup(await this.#operations.redeliver(requestId, options));
  }

  /**
   * Ends an open request; one that has ended does not change. Returns null for an unknown request. Child groups of
   * open tasks are cancelled too, by a delivery.
   *
   * @param reason cut to 1,024 bytes of UTF-8, between two characters.
   */
  async cancel(requestId: string, reason: string, options: CancelOptions = {}): Promise<RequestStatus<S> | null> {
    return this.#ofGroup(await this.#operations.cancel(requestId, reason, options));
  }

  /** Returns the current status; null when the request is unknown. */
  async status(requestId: string, options: CallOptions = {}): Promise<RequestStatus<S> | null> {
    checkId(requestId, "requestId");
    return this.#ofGroup(await this.#reader.status(requestId, callOptions(options)));
  }

  /**
   * Returns the request's status once it is complete or has ended, or when the time is over; null when it is unknown. Read
   * `state`: a request that is not complete in time is `pending`, and its status is at most 0.5 s old. Passing failures of the
   * backend are retried every 0.25 to 2 s, within the time.
   *
   * On Redis, a wait may receive the end's message and not be able to read the end in time. It then takes up to 2 s more.
   *
   * @throws {CoordinationError} `wait_timeout`, retryable, when the backend does not answer in time. An abort rejects with
   * `signal.reason`.
   */
  async wait(requestId: string, options: WaitCallOptions = {}): Promise<RequestStatus<S> | null> {
    checkId(requestId, "requestId");
    return this.#ofGroup(await this.#reader.wait(requestId, options));
  }

  /**
   * Yields the status whenever it has changed, the end last: for progress bars. A request that is complete but not sealed has
   * not ended, so the iteration goes on: stop it when `state` is `complete`, if that is all you wait for. Intermediate
   * changes arrive within about a second, several at a time. The end arrives at once. Keeps a pending request alive, as a
   * wait does. Ends without a status when the request is unknown.
   */
  async *progress(requestId: string, options: ProgressOptions = {}): AsyncGenerator<RequestStatus<S>, void> {
    checkId(requestId, "requestId");
    for await (const status of this.#reader.progress(requestId, options)) yield requestStatus(this.stages, status);
  }

  /**
   * Returns the status once its version is another than `after`; null when the request is unknown.
   *
   * @param after the `version` of the last status; "" for the current one.
   * @throws {CoordinationError} `wait_timeout` when nothing changed. An abort rejects with `signal.reason`.
   */
  async newer(requestId: string, after: string, options: WaitCallOptions = {}): Promise<RequestStatus<S> | null> {
    checkId(requestId, "requestId");
    return this.#ofGroup(await this.#reader.newer(requestId, after, options));
  }

  /** Lists tasks in the order of their announcement; null for an unknown request. See `CompletionTracker.tasks`. */
  async tasks(requestId: string, options: TaskOptions = {}): Promise<TaskPage | null> {
    checkId(requestId, "requestId");
    return this.#reader.tasks(requestId, options);
  }

  /** Lists the results of acks, a page a call; null for an unknown request. See `CompletionTracker.results`. */
  async results(requestId: string, options: ResultOptions = {}): Promise<ResultPage | null> {
    checkId(requestId, "requestId");
    return this.#reader.results(requestId, options);
  }

  /**
   * Lists requests by their state or by the delivery that they owe, one page a call. See `CompletionTracker.list`.
   *
   * @throws {CoordinationError} `unsupported` for a backend without an index.
   */
  async list(options: RequestListOptions = {}): Promise<GroupList<ListedRequest>> {
    return listRequests(this.#coordinator, options);
  }

  /**
   * Removes the request before its TTL ends: a pending one is cancelled first. False when there is none. Callers that wait can
   * still read its end, for a minute at most. Late acks are refused and do not create the request again.
   */
  async remove(requestId: string, options: CallOptions = {}): Promise<boolean> {
    return this.#operations.remove(requestId, options);
  }

  async #ack(
    requestId: string,
    task: TaskAck,
    { more, signal }: { readonly more: object; readonly signal: AbortSignal | undefined },
  ): Promise<RequestResult> {
    checkId(requestId, "requestId");
    const input = { op: newOp(), tasks: [task], earlyTtlMs: EARLY_TTL_MS, ...more };
    const { results, refused } = await this.#coordinator.run(
      "request.ack",
      requestId,
      input,
      this.#operations.ending({ signal }),
    );
    refuse(refused);
    const [result] = results;
    if (result === undefined)
      throw new CoordinationError("backend_rejected", "unexpected response: an ack without its verdict");
    const { verdict, state, complete = false } = result;
    return { verdict, state: stateAfter({ state, complete }) };
  }

  #taskOf(stage: S, taskId: TaskId): TaskAck {
    this.#checkStage(stage, "stage");
    return taskKey({ stage, id: taskId }, "task");
  }

  /** Returns the `next` of an ack; an empty object when there is none. */
  #nextOf(requestId: string, next: readonly NextTasks<S>[]): object {
    if (!Array.isArray(next)) throw new CoordinationError("invalid_input", "next must be a list");
    const tasks = (next as readonly NextTasks<S>[]).flatMap((each, i) => {
      checkOptions(each ?? null, NEXT, `next[${i}]`);
      this.#checkStage(each.stage, `next[${i}].stage`);
      return tasksOf(each.stage, each.taskIds, `next[${i}].taskIds`);
    });
    return tasks.length === 0 ? {} : { next: this.#operations.announcement(requestId, announced(tasks, "next")) };
  }

  #checkStage(stage: S, field: string): void {
    if (this.#isAnyStage) checkStage(stage, field);
    else if (!this.stages.includes(stage)) {
      throw new CoordinationError("invalid_input", `${field} must be one of the tracker's stages`);
    }
  }

  #ofGroup(status: GroupStatus | null): RequestStatus<S> | null {
    return status === null ? null : requestStatus(this.stages, status);
  }
}
