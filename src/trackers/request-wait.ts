import type { Coordinator } from "../coordinator.js";
import type { RequestView, StageRoots } from "../core/request/record.js";
import { CoordinationError } from "../errors.js";
import { AbortListeners } from "../lib/abort-listeners.js";
import { type Duration, inSeconds } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger, checkNumber, checkTtlSec, MAX_SEC, shortText } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { checkWait, endOrLook, type WaitCallOptions } from "./end-or-look.js";
import { type RequestResult, requestResult } from "./request-result.js";
import { type QueueStatus, queueStatus, type RequestState } from "./request-status.js";
import { checkStages } from "./stages.js";
import { MAX_ERROR_BYTES } from "./task.js";

/** Options of a `RequestWaitTracker`. */
export interface RequestWaitOptions<S extends string = string> {
  /** The stages that work passes through: 1 to 64, each of 1 to 64 bytes. */
  readonly stages: readonly S[];
  /**
   * How long a request is kept after its end, in seconds: 1 to a year. A pending request is kept for this time after its last
   * write, or up to a quarter less. Waiting for it or following its progress keeps it alive, for at most 30 days after its last
   * change. Default: the coordinator's `ttlSec`, else 3,600.
   */
  readonly ttlSec?: Duration;
  readonly onEvent?: OnEvent | undefined;
}

/** A root of a later stage that replaces a done root: the request waits for it instead. */
export interface NextRoot<S extends string = string> {
  readonly stage: S;
  readonly rootId: string;
}

/** Options of a done root. */
export interface MarkOptions<S extends string = string> extends CallOptions {
  /** How much was processed for the root: 0 to 10⁹. @default 1 */
  readonly processed?: number | undefined;
  /** Roots that continue the work. */
  readonly next?: readonly NextRoot<S>[] | undefined;
}

/** The progress of a request. */
export interface RequestProgress<S extends string = string> {
  readonly state: Exclude<RequestState, "unknown">;
  /** Grows with every change. Pass it to `progress` to wait for the next one. */
  readonly version: number;
  /** How many registered roots are not marked yet. */
  readonly open: number;
  readonly status: QueueStatus<S>;
}

/** The most roots that one call may name. */
export const MAX_ROOTS_A_CALL = 1_000;
/** The most that one call may count. */
export const MAX_COUNT = 1_000_000_000;
const MIN_TTL_SEC = 1;
const DEFAULT_TTL_SEC = 3_600;

const TRACKER_OPTIONS: Names<RequestWaitOptions> = { stages: true, ttlSec: true, onEvent: true };
const REGISTER_OPTIONS = { caller: true, signal: true } as const;
const FAILURE = { caller: true, stage: true, message: true } as const;
const MARK_OPTIONS: Names<MarkOptions> = { processed: true, next: true, signal: true };

/** How long the last read of a completed request may exceed the timeout. */
const LAST_READ_MS = 2_000;

/**
 * Lets an HTTP request, or any other caller, wait until all work that it started is done: a WaitGroup whose members have
 * names and stages, with counts for each stage.
 *
 * A request is pending until its first root is registered, or until it is sealed. Then it is complete as soon as no
 * registered root is open. Another root opens it again, unless it is sealed. A sealed and complete request stays complete.
 * Every call is one round trip and one atomic step: no reader sees a root closed without its error, or between two stages.
 *
 * Does not outlive its TTL when no call writes to it, waits for it or follows it. It is then unknown, never complete.
 *
 * @typeParam S the stages' names; inferred from `stages`.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator, RequestWaitTracker } from "edge-coordinator";
 *
 * const requests = new RequestWaitTracker(new MemoryCoordinator(), { stages: ["parse", "embed"] });
 * await requests.registerRequest("request-1");
 * await requests.registerRoot("request-1", "parse", "document-1");
 * // a worker that has parsed it, and hands it on:
 * await requests.markDone("request-1", "parse", "document-1", {
 *   processed: 1,
 *   next: [{ stage: "embed", rootId: "document-1" }],
 * });
 * await requests.markFailed("request-1", "embed", "document-1", "the model is overloaded");
 * const end = await requests.waitForRequest("request-1", { timeoutMs: 5_000 });
 * // { state: "complete", status: { parse: { processed: 1, … }, embed: { errorCount: 1, … } }, … }
 * ```
 */
export class RequestWaitTracker<S extends string = string> {
  /** The stages of the options. */
  readonly stages: readonly S[];
  readonly #signals = new AbortListeners();
  readonly #coordinator: Coordinator;
  readonly #ttlMs: number;
  readonly #onEvent: OnEvent | undefined;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: RequestWaitOptions<S>) {
    checkCoordinator(coordinator);
    checkOptions(options, TRACKER_OPTIONS);
    this.#coordinator = coordinator;
    this.stages = checkStages(options?.stages);
    const ttlSec =
      inSeconds(options.ttlSec, "ttlSec") ?? Math.max(MIN_TTL_SEC, coordinator.defaultTtlSec || DEFAULT_TTL_SEC);
    checkNumber(ttlSec, "ttlSec", MIN_TTL_SEC, MAX_SEC);
    this.#ttlMs = checkTtlSec(ttlSec, "ttlSec");
    this.#onEvent = options.onEvent;
  }

  /**
   * Registers a request; call it before the first message is sent. A registered request keeps its roots and counts.
   *
   * @param options.caller names this call for `abandon`: 1 to 256 bytes, different for each call. Default: a random name.
   */
  async registerRequest(
    requestId: string,
    options: CallOptions & { readonly caller?: string | undefined } = {},
  ): Promise<RequestResult> {
    checkId(requestId, "requestId");
    checkOptions(options, REGISTER_OPTIONS);
    const { caller = newOp() } = options;
    checkId(caller, "caller");
    return requestResult(
      await this.#coordinator.run(
        "request.register",
        requestId,
        { op: caller, ttlMs: this.#ttlMs },
        { signal: options.signal },
      ),
    );
  }

  /**
   * Ends a request whose caller has failed, such as an HTTP handler that threw. The request is complete at once, with one
   * error and no open root, and its waiters resolve. The end stays readable for the TTL. The next `registerRequest` begins
   * anew, so that the client can send the request again.
   *
   * Does not end a request that another caller has registered and not abandoned (`duplicate`), nor a sealed one (`late`).
   * A request with more than 16 callers cannot be abandoned.
   *
   * @param failure.caller the name that `registerRequest` was given.
   * @param failure.stage the stage that counts the error.
   * @param failure.message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async abandon(
    requestId: string,
    failure: { readonly caller: string; readonly stage: S; readonly message: string },
    options: CallOptions = {},
  ): Promise<RequestResult> {
    checkId(requestId, "requestId");
    checkOptions(failure, FAILURE);
    const { caller, stage, message } = failure;
    checkId(caller, "caller");
    this.#checkStage(stage, "stage");
    const error = shortText(message, "message", MAX_ERROR_BYTES);
    return requestResult(
      await this.#coordinator.run(
        "request.abandon",
        requestId,
        { op: newOp(), caller, stage, error },
        callOptions(options),
      ),
    );
  }

  /**
   * Adds one or up to 1,000 roots that the request waits for. Registering one again does nothing. A root whose mark came
   * first is done at once: its counts are added, and so are its `next` roots. A sealed request takes no roots: the verdict is
   * `sealed`, or `late` once it is complete.
   *
   * @throws {CoordinationError} `limit_exceeded` beyond 100,000 roots.
   */
  async registerRoot(
    requestId: string,
    stage: S,
    rootIds: string | readonly string[],
    options: CallOptions = {},
  ): Promise<RequestResult> {
    checkId(requestId, "requestId");
    this.#checkStage(stage, "stage");
    const roots = typeof rootIds === "string" ? [rootIds] : rootIds;
    if (!Array.isArray(roots) || roots.length === 0 || roots.length > MAX_ROOTS_A_CALL) {
      throw new CoordinationError("invalid_input", `rootIds must be an id, or a list of 1 to ${MAX_ROOTS_A_CALL}`);
    }
    for (const [i, id] of roots.entries()) checkId(id, typeof rootIds === "string" ? "rootId" : `rootIds[${i}]`);
    return requestResult(
      await this.#coordinator.run(
        "request.roots",
        requestId,
        { op: newOp(), stage, roots: [...roots] },
        callOptions(options),
      ),
    );
  }

  /**
   * Closes the request to new roots, except the `next` roots of registered ones. Once no root is open it is complete for good.
   * A request without roots is complete at once.
   */
  async seal(requestId: string, options: CallOptions = {}): Promise<RequestResult> {
    return (await this.sealAndStatus(requestId, options)).result;
  }

  /** Seals the request, and returns its counts of the same step if it is complete; null while it is pending or unknown. */
  async sealAndStatus(
    requestId: string,
    options: CallOptions = {},
  ): Promise<{ result: RequestResult; status: QueueStatus<S> | null }> {
    checkId(requestId, "requestId");
    const output = await this.#coordinator.run("request.seal", requestId, { op: newOp() }, callOptions(options));
    return {
      result: requestResult(output),
      status: output.view === undefined ? null : queueStatus(this.stages, output.view),
    };
  }

  /**
   * Closes a root, with how much was processed for it. Any copy of a message may call it: a root counts once, and a failed
   * root stays failed. The mark of a root that is not registered is kept (`early`), and counts with the registration.
   *
   * @param processed 0 to 10⁹, default 1; or options with `next`: roots that continue the work. They are registered in the same
   * step, so that the request is never complete in between.
   * @throws {CoordinationError} `limit_exceeded` when the request keeps 10,000 early marks, their `next` roots included.
   */
  async markDone(
    requestId: string,
    stage: S,
    rootId: string,
    processed: number | MarkOptions<S> = 1,
  ): Promise<RequestResult> {
    const done: MarkOptions<S> = typeof processed === "number" ? { processed } : processed;
    checkOptions(done, MARK_OPTIONS);
    const { processed: count = 1, next = [], signal } = done;
    checkInteger(count, "processed", 0, MAX_COUNT);
    return this.#mark([requestId, stage, rootId], { processed: count, ...this.#grouped(next) }, { signal });
  }

  /**
   * Closes a root as failed, and counts its error in the same step. Do not call it for work that will be retried.
   *
   * @param message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async markFailed(
    requestId: string,
    stage: S,
    rootId: string,
    message: string,
    options: CallOptions = {},
  ): Promise<RequestResult> {
    const error = shortText(message, "message", MAX_ERROR_BYTES);
    return this.#mark([requestId, stage, rootId], { processed: 0, error }, callOptions(options));
  }

  /**
   * Counts work without closing a root. A call that the client resends counts once. A second call counts again.
   *
   * @param n 0 to 10⁹, default 1.
   */
  async recordProcessed(requestId: string, stage: S, n = 1, options: CallOptions = {}): Promise<RequestResult> {
    checkInteger(n, "n", 0, MAX_COUNT);
    return this.#record(requestId, stage, { processed: n }, options);
  }

  /**
   * Counts attempts that will be retried.
   *
   * @param n 0 to 10⁹, default 1.
   */
  async recordRequeue(requestId: string, stage: S, n = 1, options: CallOptions = {}): Promise<RequestResult> {
    checkInteger(n, "n", 0, MAX_COUNT);
    return this.#record(requestId, stage, { requeued: n }, options);
  }

  /**
   * Counts an error without closing a root.
   *
   * @param message cut to 1,024 bytes of UTF-8, between two characters.
   */
  async recordError(requestId: string, stage: S, message: string, options: CallOptions = {}): Promise<RequestResult> {
    return this.#record(requestId, stage, { error: shortText(message, "message", MAX_ERROR_BYTES) }, options);
  }

  /** Returns the state of the request. */
  async state(requestId: string, options: CallOptions = {}): Promise<RequestState> {
    checkId(requestId, "requestId");
    const { view } = await this.#coordinator.run("request.status", requestId, {}, callOptions(options));
    return view === undefined ? "unknown" : view.complete ? "complete" : "pending";
  }

  /** Returns the current counts; null when the request is unknown. */
  async queueStatus(requestId: string, options: CallOptions = {}): Promise<QueueStatus<S> | null> {
    checkId(requestId, "requestId");
    const { view } = await this.#coordinator.run("request.status", requestId, {}, callOptions(options));
    return view === undefined ? null : queueStatus(this.stages, view);
  }

  /**
   * Returns the request's progress once it is complete, or when the time is over; null when it is unknown. Read `state`: a
   * request that is not complete in time is `pending`, and its progress is at most 0.5 s old. Passing failures of the backend
   * are retried every 0.25 to 2 s, within the time.
   *
   * On Redis, a wait may receive the end's message and not be able to read the end in time. It then takes up to 2 s more.
   *
   * @throws {CoordinationError} `wait_timeout`, retryable, when the backend does not answer in time. An abort rejects with
   * `signal.reason`.
   */
  async waitForRequest(requestId: string, options: WaitCallOptions = {}): Promise<RequestProgress<S> | null> {
    checkId(requestId, "requestId");
    const { view } = await endOrLook<{ view?: RequestView }>(options, {
      signals: this.#signals,
      watch: (watching) =>
        this.#coordinator.watch("request.wait", requestId, {}, { ...watching, lastReadMs: LAST_READ_MS }),
      look: (signal) => this.#coordinator.run("request.status", requestId, {}, { signal }),
    });
    return view === undefined ? null : this.#progressOf(view);
  }

  /**
   * Returns the progress once it is newer than `after`, or at once when the request is complete or unknown: for progress bars.
   * Intermediate changes arrive within about a second, several at a time. The end arrives at once. Keeps a pending request
   * alive, as a wait does.
   *
   * @param after the `version` of the last progress; 0 to begin with.
   * @throws {CoordinationError} `wait_timeout` when nothing changed. An abort rejects with `signal.reason`.
   */
  async progress(requestId: string, after: number, options: WaitCallOptions = {}): Promise<RequestProgress<S> | null> {
    checkId(requestId, "requestId");
    checkInteger(after, "after", 0, Number.MAX_SAFE_INTEGER);
    const { view } = await this.#coordinator.watch("request.progress", requestId, { after }, checkWait(options));
    return view === undefined ? null : this.#progressOf(view);
  }

  /**
   * Removes the request before its TTL ends. False when there is none, or when the removal failed: `onEvent` receives the
   * error, and the TTL removes the request. Callers that wait for a complete request can still read its end, for a minute at
   * most. Late marks are refused and do not create the request again.
   */
  async cleanup(requestId: string, options: CallOptions = {}): Promise<boolean> {
    checkId(requestId, "requestId");
    const { signal } = callOptions(options);
    try {
      return (await this.#coordinator.run("request.cleanup", requestId, { op: newOp() }, { signal })).found;
    } catch (error) {
      if (signal?.aborted) throw error;
      emit(this.#onEvent, { type: "followup_failed", transition: "request.cleanup", id: requestId, error });
      return false;
    }
  }

  #progressOf(view: RequestView): RequestProgress<S> {
    const { complete, version, open } = view;
    return { state: complete ? "complete" : "pending", version, open, status: queueStatus(this.stages, view) };
  }

  async #mark(
    [requestId, stage, rootId]: readonly [string, S, string],
    done: { processed: number; error?: string; next?: StageRoots[] },
    options: CallOptions,
  ): Promise<RequestResult> {
    checkId(requestId, "requestId");
    this.#checkStage(stage, "stage");
    checkId(rootId, "rootId");
    const input = { op: newOp(), stage, root: rootId, ...done };
    return requestResult(await this.#coordinator.run("request.mark", requestId, input, options));
  }

  async #record(
    requestId: string,
    stage: S,
    counts: { processed?: number; requeued?: number; error?: string },
    options: CallOptions,
  ): Promise<RequestResult> {
    checkId(requestId, "requestId");
    this.#checkStage(stage, "stage");
    const input = { op: newOp(), stage, ...counts };
    return requestResult(await this.#coordinator.run("request.record", requestId, input, callOptions(options)));
  }

  #checkStage(stage: S, field: string): void {
    if (this.stages.includes(stage)) return;
    throw new CoordinationError("invalid_input", `${field} must be one of the tracker's stages`);
  }

  /** Returns the next roots by their stages; an empty object when there are none. */
  #grouped(next: readonly NextRoot<S>[]): { next?: StageRoots[] } {
    if (!Array.isArray(next) || next.length > MAX_ROOTS_A_CALL) {
      throw new CoordinationError("invalid_input", `next must be a list of at most ${MAX_ROOTS_A_CALL} roots`);
    }
    const byStage = new Map<S, string[]>();
    for (const [i, root] of (next as readonly NextRoot<S>[]).entries()) {
      this.#checkStage(root?.stage, `next[${i}].stage`);
      checkId(root.rootId, `next[${i}].rootId`);
      byStage.set(root.stage, [...(byStage.get(root.stage) ?? []), root.rootId]);
    }
    return byStage.size === 0 ? {} : { next: Array.from(byStage, ([stage, roots]) => ({ stage, roots })) };
  }
}
