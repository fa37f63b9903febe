import { CoordinationError, type CoordinationErrorCode } from "../../errors.js";
import { faultOfObject, faultOfStatus, lacksMethod } from "../../http/remote-faults.js";
import { systemClock } from "../../lib/clock.js";
import type { Drainable } from "../../runtime/backend.js";
import { DrainRounds, drainOf } from "../../runtime/drain-loop.js";
import type { CoordinatorEvent } from "../../runtime/events.js";
import { emit, hookOrWarning } from "../../runtime/events.js";

/** The used part of a Durable Object's state. Every `DurableObjectState` fits. */
export interface ClockState {
  readonly storage: {
    getAlarm(): Promise<number | null>;
    setAlarm(atMs: number): Promise<void>;
    deleteAlarm(): Promise<void>;
  };
}

/** The used part of an `AlarmClock`'s binding. Every `DurableObjectNamespace` fits. */
export interface ClockNamespace {
  idFromName(name: string): object;
  get(id: object, options?: { locationHint?: string }): ClockStub;
}

/** The used part of a Durable Object's stub. */
export interface ClockStub {
  fetch(url: string, init: { method: string }): Promise<{ readonly status: number; json(): Promise<unknown> }>;
}

/** Which clock of a binding to call, and where to create it. */
export interface ClockPlace {
  /** The object's name: one object for each database or prefix behind one binding. Default `"clock"`. */
  readonly name?: string | undefined;
  /** Where a new object is created, such as `"weur"`: near the database. A hint: the platform may choose another place. */
  readonly locationHint?: string | undefined;
}

/** When the alarm fires again if the object crashes during its work. Alarms of a running object never overlap. */
const GUARD_MS = 10_000;
/** The pause after a failed drain or an option out of range, until the class is fixed. */
const BROKEN_PAUSE_MS = 60_000;

/**
 * A Durable Object whose alarm drains Redis, for Workers over Upstash: Redis has no timers, and a Worker's timers end with
 * its request. Extend it, return the coordinator to drain, bind the class with `new_sqlite_classes`, and start it. One
 * object runs until it is stopped, through evictions and deploys.
 *
 * **Lateness.** A record is woken at most `everyMs` after its due time, plus the time of one drain. One drain takes `budgetMs`
 * and the attempts that are running then. The platform adds its own delay: mostly milliseconds, up to a minute in a
 * failover. The clock fires earlier when the last drain found a record that is due soon. It fires at once while records are
 * left. An object that crashes during its work fires again after ten seconds.
 *
 * **Cost.** A drain that finds nothing is one request with 65 Redis commands. At 15 seconds a day has 5,760 drains and
 * 374,400 commands. The object adds 5,760 alarms and 11,520 written rows. Records that come due one after another cause at
 * most 86,400 drains a day (`minPauseMs`). Each record that is woken adds its own cost.
 *
 * `onEvent` receives a failed drain as `drain_failed`. The clock retries it after a pause with full jitter, which grows to
 * `everyMs`. The alarm itself does not fail: the platform drops an alarm that failed seven times. The object stores only its
 * alarm. A start sets a lost alarm again. Does not promise that only one drain runs at a time: claims are fenced, so
 * concurrent drains are harmless.
 *
 * Declare `everyMs` and the other settings as fields: they are read when the clock first fires.
 *
 * @typeParam Env the Worker's bindings.
 * @example
 * ```ts
 * import { CompletionTracker, type HandlerEvent } from "edge-coordinator";
 * import { AlarmClock, UpstashCoordinator } from "edge-coordinator/upstash";
 *
 * interface Env {
 *   UPSTASH_REDIS_REST_URL: string;
 *   UPSTASH_REDIS_REST_TOKEN: string;
 *   DRAIN_CLOCK: DurableObjectNamespace<DrainClock>;
 * }
 * const handlers = { publish: async ({ deliveryId }: HandlerEvent) => console.log(deliveryId) };
 *
 * export class DrainClock extends AlarmClock<Env> {
 *   protected override coordinator(env: Env) {
 *     const coordinator = new UpstashCoordinator({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN });
 *     new CompletionTracker(coordinator, { handlers, env });
 *     return coordinator;
 *   }
 * }
 *
 * export default {
 *   // A cron trigger, once an hour say: the first one starts the clock, the others find it running.
 *   scheduled: (_controller, env) => AlarmClock.start(env.DRAIN_CLOCK),
 * } satisfies ExportedHandler<Env>;
 * ```
 * @see https://developers.cloudflare.com/durable-objects/api/alarms/
 */
export abstract class AlarmClock<Env = unknown> {
  /** For the compiler alone: `DurableObjectNamespace<…>` requires this property of its class. */
  declare readonly __DURABLE_OBJECT_BRAND: never;

  protected readonly ctx: ClockState;
  protected readonly env: Env;
  /** The longest pause between two drains, in milliseconds: 100 to a day. Default 15,000. */
  protected readonly everyMs: number = 15_000;
  /**
   * The shortest pause when the last drain left nothing due, in milliseconds: 10 to `everyMs`. It limits the cost. Equal to
   * `everyMs`, it makes all pauses equal. Default 1,000, or `everyMs` if less.
   */
  protected readonly minPauseMs: number | undefined = undefined;
  /** How many records one alarm wakes at most: 1 to 10,000. Each takes two or more of the invocation's subrequests. */
  protected readonly limit: number = 100;
  /** After this time an alarm wakes no more records, in milliseconds: 1 to 600,000. */
  protected readonly budgetMs: number = 30_000;

  readonly #warn = hookOrWarning(undefined, () => this.now());
  #made: Drainable | undefined;
  #rounds: DrainRounds | undefined;

  constructor(ctx: ClockState, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }

  /**
   * Starts the clock of this binding; does nothing when the clock is running. Sends one request to the object. Call it from
   * a cron trigger, from the request that registers, or once after a deploy.
   *
   * @throws {CoordinationError} the error of `coordinator(env)` in the object; `invalid_input` for a field out of range;
   * `unsupported` for a coordinator without `drain`; `misconfigured` when the binding is not an `AlarmClock`;
   * `backend_unavailable` when the object cannot be reached; `rate_limited` when it is overloaded.
   */
  static async start(namespace: ClockNamespace, place: ClockPlace = {}): Promise<void> {
    await tell("start", namespace, place);
  }

  /**
   * Stops the clock of this binding until it is started again. A running drain still finishes.
   *
   * @throws {CoordinationError} `misconfigured` when the binding is not an `AlarmClock`; `backend_unavailable` when the object
   * cannot be reached; `rate_limited` when it is overloaded.
   */
  static async stop(namespace: ClockNamespace, place: ClockPlace = {}): Promise<void> {
    await tell("stop", namespace, place);
  }

  /** Answers `start` and `stop`: a plain class has no RPC. Every holder of the binding may call it. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST") return new Response(null, { status: 405 });
    if (pathname === "/start") return this.#start();
    if (pathname !== "/stop") return new Response(null, { status: 404 });
    await this.ctx.storage.deleteAlarm();
    return new Response(null, { status: 204 });
  }

  /** Drains, and sets the next alarm. Rejects only when the object's own storage fails. */
  async alarm(): Promise<void> {
    const { storage } = this.ctx;
    // Before the work: if the object crashes during it, the alarm fires in its next instance.
    await storage.setAlarm(this.now() + GUARD_MS);
    const pauseMs = await this.#drain();
    // `stop` was called during the drain.
    if ((await storage.getAlarm()) === null) return;
    // An alarm that is set to the current time from inside an alarm may stall.
    await storage.setAlarm(this.now() + Math.max(1, pauseMs));
  }

  /**
   * Returns the coordinator to drain, with the trackers whose handlers run here. Called once for each instance of the object,
   * at its first alarm or start. Called again if it threw.
   */
  protected abstract coordinator(env: Env): Drainable;

  /**
   * Receives failed drains. Override it to log or count, and pass it to the coordinator and its trackers as well. The default
   * writes a warning to the console, at most one a minute.
   */
  protected onEvent(event: CoordinatorEvent): void {
    this.#warn(event);
  }

  /** Returns the time for all pauses, in milliseconds since 1970. Override it in tests. */
  protected now(): number {
    return Date.now();
  }

  async #start(): Promise<Response> {
    const { storage } = this.ctx;
    let longestPauseMs: number;
    try {
      longestPauseMs = this.#pace().longestPauseMs;
      drainOf(this.#coordinator());
    } catch (error) {
      return Response.json(problemOf(error), { status: 422 });
    }
    const standsAtMs = await storage.getAlarm();
    const nowMs = this.now();
    // An alarm further in the future was set by a version with longer pauses.
    if (standsAtMs === null || standsAtMs > nowMs + longestPauseMs) await storage.setAlarm(nowMs + 1);
    return new Response(null, { status: 204 });
  }

  async #drain(): Promise<number> {
    try {
      return await this.#pace().drain(() => this.#coordinator());
    } catch (error) {
      emit((event) => this.onEvent(event), { type: "drain_failed", error });
      return BROKEN_PAUSE_MS;
    }
  }

  #coordinator(): Drainable {
    this.#made ??= this.coordinator(this.env);
    return this.#made;
  }

  /** Runs late, since a subclass's fields are not set while this class's constructor runs. */
  #pace(): DrainRounds {
    this.#rounds ??= new DrainRounds({
      everyMs: this.everyMs,
      minPauseMs: this.minPauseMs,
      limit: this.limit,
      budgetMs: this.budgetMs,
      isShared: false,
      clock: { now: () => this.now(), setTimer: systemClock.setTimer },
      random: Math.random,
      onEvent: (event) => this.onEvent(event),
    });
    return this.#rounds;
  }
}

/** The error of a failed start, as the object sends it. */
interface Problem {
  readonly code: CoordinationErrorCode;
  readonly message: string;
}

/** Returns the error to send. Messages of errors that are not ours may hold anything, so they stay in the object. */
function problemOf(error: unknown): Problem {
  if (error instanceof CoordinationError) return { code: error.code, message: error.message };
  return { code: "misconfigured", message: "coordinator(env) of the alarm clock failed" };
}

async function tell(what: "start" | "stop", namespace: ClockNamespace, place: ClockPlace): Promise<void> {
  if (typeof namespace?.idFromName !== "function") {
    throw new CoordinationError("misconfigured", "namespace must be the binding of an AlarmClock");
  }
  const { status, problem } = await ask(what, namespace, place);
  if (status === 204) return;
  if (status === 422) throw new CoordinationError(problem.code, problem.message);
  const { code, says, retryable = false } = faultOfStatus(status);
  if (retryable) throw new CoordinationError(code, `the alarm clock ${says}`, { retryable, applied: "unknown" });
  throw notAClock();
}

function notAClock(): CoordinationError {
  return new CoordinationError("misconfigured", "the binding's class must extend AlarmClock");
}

async function ask(
  what: string,
  namespace: ClockNamespace,
  { name = "clock", locationHint }: ClockPlace,
): Promise<{ status: number; problem: Problem }> {
  try {
    const stub = namespace.get(namespace.idFromName(name), locationHint === undefined ? {} : { locationHint });
    const answer = await stub.fetch(`https://alarm-clock/${what}`, { method: "POST" });
    const problem = answer.status === 422 ? await answer.json() : undefined;
    return { status: answer.status, problem: problem as Problem };
  } catch (cause) {
    if (lacksMethod(cause)) throw notAClock();
    const { code, says, resend: _, ...options } = faultOfObject(cause);
    throw new CoordinationError(code, `the alarm clock could not be reached: ${says}`, { ...options, cause });
  }
}
