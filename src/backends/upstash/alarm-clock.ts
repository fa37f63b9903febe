import { CoordinationError, type CoordinationErrorCode } from "../../errors.js";
import { faultOfObject, faultOfStatus, lacksMethod } from "../../http/remote-faults.js";
import { systemClock } from "../../lib/clock.js";
import type { Drainable } from "../../runtime/backend.js";
import { DrainRounds, drainOf } from "../../runtime/drain-loop.js";
import type { CoordinatorEvent } from "../../runtime/events.js";
import { emit, hookOrWarning } from "../../runtime/events.js";

/** The part of a Durable Object's state that is used; every `DurableObjectState` has it. */
export interface ClockState {
  readonly storage: {
    getAlarm(): Promise<number | null>;
    setAlarm(atMs: number): Promise<void>;
    deleteAlarm(): Promise<void>;
  };
}

/** The part of an `AlarmClock`'s binding that is used; every `DurableObjectNamespace` has it. */
export interface ClockNamespace {
  idFromName(name: string): object;
  get(id: object, options?: { locationHint?: string }): ClockStub;
}

/** The part of a Durable Object's stub that is used. */
export interface ClockStub {
  fetch(url: string, init: { method: string }): Promise<{ readonly status: number; json(): Promise<unknown> }>;
}

/** Which clock of a binding is meant, and where it is made. */
export interface ClockPlace {
  /** One object each: for several databases or prefixes behind one binding. Default `"clock"`. */
  readonly name?: string | undefined;
  /** Where an object is made that does not exist yet, such as `"weur"`: near the database. A wish, not a promise. */
  readonly locationHint?: string | undefined;
}

/** How soon the alarm rings again of an object that died over its work. While it lives, alarms wait for each other. */
const GUARD_MS = 10_000;
/** Until somebody has corrected fields that are out of range. */
const BROKEN_PAUSE_MS = 60_000;

/**
 * A Durable Object whose alarm drains Redis, for Workers over Upstash: Redis has no timer, and a Worker has none that
 * outlives its request. Extend it, say which coordinator to drain, bind the class with `new_sqlite_classes`, and start
 * it: one object, which goes on until it is stopped, through evictions and deploys.
 *
 * **Lateness.** A record is woken at most `everyMs` after it came due, plus the time of one drain (`budgetMs` and the
 * attempts under way then), plus the platform's own: mostly milliseconds, up to a minute in a failover. Sooner where the
 * last drain saw it coming, and while something is left, at once. An object that dies over its work rings again after ten
 * seconds.
 *
 * **Cost.** A drain that finds nothing is one request with 65 Redis commands: 5,760 drains and 374,400 commands a day at 15
 * seconds, besides 5,760 alarms and 11,520 rows written in the object. Records that come due one after another make it
 * 86,400 drains at most (`minPauseMs`). Each record that is woken costs its own.
 *
 * A drain that fails is told to `onEvent` as `drain_failed` and tried again, after a pause with full jitter that grows to
 * `everyMs`: nothing of it leaves the alarm, since the platform drops one that failed seven times. The object stores nothing
 * but its alarm; a start puts back one that was lost all the same. What it does not promise: exactly one drain at a time.
 * Claims are fenced, so that two do no harm.
 *
 * Declare `everyMs` and the others as fields: they are read when the clock first rings.
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
  /** For the compiler alone: what `DurableObjectNamespace<…>` asks of its class. */
  declare readonly __DURABLE_OBJECT_BRAND: never;

  protected readonly ctx: ClockState;
  protected readonly env: Env;
  /** The longest pause between two drains, in milliseconds: 100 to a day. Default 15,000. */
  protected readonly everyMs: number = 15_000;
  /**
   * The shortest pause while nothing is left over, in milliseconds: 10 to `everyMs`. Default 1,000, or `everyMs` if less. It
   * caps the cost; equal to `everyMs`, it makes the pace even.
   */
  protected readonly minPauseMs: number | undefined = undefined;
  /** How many records one alarm wakes at most: 1 to 10,000. Each takes two or more of its invocation's subrequests. */
  protected readonly limit: number = 100;
  /** After how long an alarm begins no more of them, in milliseconds: 1 to 600,000. */
  protected readonly budgetMs: number = 30_000;

  readonly #warn = hookOrWarning(undefined, () => this.now());
  #made: Drainable | undefined;
  #rounds: DrainRounds | undefined;

  constructor(ctx: ClockState, env: Env) {
    this.ctx = ctx;
    this.env = env;
  }

  /**
   * Starts the clock of this binding; does nothing to one that runs. One request to the object: call it from a cron
   * trigger, from the request that registers, or once after a deploy.
   *
   * @throws {CoordinationError} what `coordinator(env)` throws in the object; `invalid_input` for its fields;
   * `unsupported` for a coordinator without `drain`; `misconfigured` for a binding of something else;
   * `backend_unavailable` when the object cannot be reached; `rate_limited` when it is overloaded.
   */
  static async start(namespace: ClockNamespace, place: ClockPlace = {}): Promise<void> {
    await tell("start", namespace, place);
  }

  /**
   * Stops the clock of this binding, until it is started again. A drain under way still ends.
   *
   * @throws {CoordinationError} `misconfigured` for a binding of something else; `backend_unavailable` when the object cannot
   * be reached; `rate_limited` when it is overloaded.
   */
  static async stop(namespace: ClockNamespace, place: ClockPlace = {}): Promise<void> {
    await tell("stop", namespace, place);
  }

  /** Answers `start` and `stop`: a plain class has no RPC. Whoever holds the binding may call it. */
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST") return new Response(null, { status: 405 });
    if (pathname === "/start") return this.#start();
    if (pathname !== "/stop") return new Response(null, { status: 404 });
    await this.ctx.storage.deleteAlarm();
    return new Response(null, { status: 204 });
  }

  /** Drains, and rings again. Rejects only when the object's own storage fails. */
  async alarm(): Promise<void> {
    const { storage } = this.ctx;
    // Before the work: should the object die over it, the alarm rings in its next life.
    await storage.setAlarm(this.now() + GUARD_MS);
    const pauseMs = await this.#drain();
    // Somebody has stopped the clock meanwhile.
    if ((await storage.getAlarm()) === null) return;
    // An alarm that is set to this very instant from inside an alarm may stall.
    await storage.setAlarm(this.now() + Math.max(1, pauseMs));
  }

  /**
   * The coordinator to drain, with the trackers whose handlers run here. Called once in the object's life, at its first
   * alarm or start; again if it threw.
   */
  protected abstract coordinator(env: Env): Drainable;

  /**
   * Receives the drains that failed. Override it to log or count, and give it to the coordinator and its trackers as well.
   * The default writes a line to the console, at most one a minute.
   */
  protected onEvent(event: CoordinatorEvent): void {
    this.#warn(event);
  }

  /** The clock of every pause, in milliseconds since 1970. Override it in tests. */
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
    // One that stands too far off is of a version whose pauses were longer.
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

  /** Late, since a subclass's fields are not there yet while this class's constructor runs. */
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

/** What went wrong at a start, as it travels. */
interface Problem {
  readonly code: CoordinationErrorCode;
  readonly message: string;
}

/** Errors of others may hold anything: their messages stay in the object. */
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
