import { DurableObject } from "cloudflare:workers";
import { isInternal, isWatchable } from "../access.js";
import {
  DurableObjectCoordinator,
  MAX_HOP_MS,
  type ObjectCall,
  type ObjectMethods,
  type ObjectNamespace,
  type ObjectReply,
} from "../backends/durable-object.js";
import type { RetryPolicy } from "../backoff.js";
import type { Coordinator, CoordinatorEvent, WakingMachine, Watched } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { emit, hookOrWarning } from "../events.js";
import { findTransition, type TransitionName } from "../machines/index.js";
import { newOp } from "../op.js";
import { type DeliveryOptions, type DeliveryPlace, deliver } from "../trackers/deliver.js";
import type { Handler, Webhooks } from "../trackers/handler.js";
import { ObjectAlarm } from "./alarm.js";
import { LocalCoordinator } from "./local-coordinator.js";
import { SqliteRecords } from "./records.js";
import { answer, faultReply } from "./reply.js";

/** How many watches one object holds open. */
export const MAX_WATCHES = 10_000;

const DEFAULT_KEY_PREFIX = "coord:";
/** How many records one alarm removes at most. */
const SWEEP_LIMIT = 500;
/**
 * How long the next sweep waits when there was no more to remove: longer the more records it will look through, so that an
 * object of many reads a few hundred rows a second at most for it.
 */
const SWEEP_PAUSE_MS = 10_000;
const SWEEP_PAUSE_A_RECORD_MS = 10;
/** Workers open six connections at a time: more deliveries at once would only wait for each other. */
const WAKES_AT_ONCE = 6;
/** How soon an alarm rings again whose object died over its work; while it lives, alarms wait for each other. */
const GUARD_MS = 2_000;
/** After a record could not be woken at all, its next try. */
const PUT_OFF_MS = 30_000;

/**
 * The Durable Object behind a `DurableObjectCoordinator`: the records in SQLite, their timers in its alarm, and the
 * place where durable callbacks run. Extend it, name your handlers, and bind it with `new_sqlite_classes`.
 *
 * Handlers run from the alarm with the object's `env`, at least once, also after a crash or a deploy. They run one alarm
 * after another: an object that waits for a slow handler still answers calls, and rings again when it is done.
 * An object whose records have all expired removes its storage and ceases to exist.
 *
 * Whoever holds the binding is trusted. Declare `handlers`, `webhooks`, `retry` and `attemptTimeoutSec` as fields, not
 * as getters: fields are out of reach of RPC.
 *
 * @example
 * ```ts
 * export class AppCoordinator extends CoordinatorObject<Env> {
 *   override readonly handlers = {
 *     finalize: async ({ deliveryId, payload }: HandlerEvent<{ document: string }>) => {
 *       await this.env.DB.prepare("INSERT OR IGNORE INTO done VALUES (?, ?)").bind(deliveryId, payload.document).run();
 *     },
 *   };
 * }
 * ```
 * @see https://developers.cloudflare.com/durable-objects/api/alarms/
 */
export class CoordinatorObject<Env = unknown> extends DurableObject<Env> implements ObjectMethods {
  /** Durable callbacks by the names that registrations use. */
  declare readonly handlers?: { readonly [name: string]: Handler<never, Env> | undefined };
  /**
   * Sends the webhooks of registrations that name a URL: `webhookSender(…)`, or what gives one for the client's key prefix,
   * where clients do not trust each other with one secret. Without it they wait for a day and are dead letters then. A
   * function that throws means without; events and the console say why.
   */
  declare readonly webhooks?: Webhooks | ((keyPrefix: string) => Webhooks | undefined) | undefined;
  /** How deliveries are repeated. Default 12 attempts, 1 s to 15 min, full jitter. */
  declare readonly retry?: RetryPolicy;
  /** How long one attempt of a delivery may take, in seconds. Default 30, 0.001 to 840. */
  declare readonly attemptTimeoutSec?: number;

  readonly #records: SqliteRecords;
  readonly #alarm: ObjectAlarm;
  readonly #local: LocalCoordinator;
  /** Which life of the object this is: an attempt that an earlier one had begun ended with it. */
  readonly #incarnation = newOp();
  readonly #warn = hookOrWarning(undefined, () => this.now());
  #isFresh = true;
  #keyPrefix: string | undefined;
  #hasTrackers = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#records = new SqliteRecords(ctx.storage);
    this.#alarm = new ObjectAlarm(ctx.storage);
    this.#local = new LocalCoordinator({
      records: this.#records,
      alarm: this.#alarm,
      now: () => this.now(),
      onFirstWrite: () => this.#rememberPrefix(),
    });
    void ctx.blockConcurrencyWhile(() => this.#load());
  }

  /** Runs one public transition, atomically. Never rejects for what the caller did: faults are values. */
  run(transition: string, id: string, input: unknown): ObjectReply {
    return answer(() => this.#local.apply(publicTransition(transition), id, input as never));
  }

  /** Runs several, in their order: each is atomic by itself, and has a reply of its own. */
  runMany(calls: readonly ObjectCall[]): ObjectReply[] {
    return calls.map(({ transition, id, input }) => this.run(transition, id, input));
  }

  /**
   * Resolves once the transition's output is `ready`, at latest after `timeoutMs` (25,000 at most) with the output as it
   * was last. The write that makes it ready resolves it in the same turn. `limit_exceeded` beyond 10,000 watches.
   */
  async watch(transition: string, id: string, input: unknown, timeoutMs: number): Promise<ObjectReply> {
    let last: Watched | undefined;
    try {
      const name = publicTransition(transition);
      if (!isWatchable(name)) throw new CoordinationError("unsupported", "the transition cannot be watched");
      const look = (): Watched => {
        last = this.#local.apply(name, id, input as never) as Watched;
        return last;
      };
      if (!(timeoutMs > 0)) return answer(look);
      if (this.#local.watching >= MAX_WATCHES) {
        throw new CoordinationError("limit_exceeded", `an object holds ${MAX_WATCHES} watches`, { retryable: true });
      }
      const output = await this.#local.look(name, id, look, { timeoutMs: Math.min(timeoutMs, MAX_HOP_MS) });
      return { ok: true, output };
    } catch (error) {
      if (last !== undefined && error instanceof CoordinationError && error.code === "wait_timeout") {
        return { ok: true, output: last };
      }
      return faultReply(error);
    }
  }

  /**
   * Removes what has expired, wakes what is due, and rings again at the next instant that matters. It never rejects: the
   * platform gives up on an alarm that fails seven times, and everything here has its own time to be tried again.
   */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    try {
      await this.#ring();
    } catch (error) {
      // The storage itself failed: what is due is not even known.
      this.#alarm.arm(this.now() + PUT_OFF_MS);
      this.#emit({ type: "drain_failed", error });
    }
  }

  /**
   * Receives every attempt of a delivery, and what failed outside of any call. Override it to log or count. The default
   * writes a line to the console, at most one a minute from an object, for what needs a person.
   */
  protected onEvent(event: CoordinatorEvent): void {
    this.#warn(event);
  }

  /** Returns whose groups these are, which handlers find as `tenant`. Default: undefined, no tenants. */
  protected tenantOf(_keyPrefix: string): string | undefined {
    return undefined;
  }

  /** The clock of every decision, in milliseconds since 1970. Override it in tests. */
  protected now(): number {
    return Date.now();
  }

  /** How many watches are open in this object. */
  protected get watching(): number {
    return this.#local.watching;
  }

  /**
   * The binding of this very class, for handlers that coordinate on and for requests that wait for a group: in a
   * jurisdiction, that of it. Default `env.COORDINATOR`.
   */
  protected namespace(env: Env): ObjectNamespace {
    const { COORDINATOR } = Object(env) as { COORDINATOR?: ObjectNamespace };
    if (COORDINATOR === undefined) {
      const hint = "bind the object's class as COORDINATOR, or override namespace(env)";
      throw new CoordinationError("misconfigured", `ctx.coordinator needs a binding: ${hint}`);
    }
    return COORDINATOR;
  }

  /** The coordinator that handlers find as `ctx.coordinator`: one like the client's. Override it for other options. */
  protected handlerCoordinator(keyPrefix: string): Coordinator {
    return new DurableObjectCoordinator({ namespace: this.namespace(this.env), keyPrefix });
  }

  async #load(): Promise<void> {
    await this.#alarm.load();
    // The platform drops an alarm that it could not run seven times; who comes next puts it back.
    if (!this.#alarm.isStanding && this.#records.exists) this.#rearm(new Set(), false);
  }

  async #ring(): Promise<void> {
    const nowMs = this.now();
    const failed = new Set<string>();
    const isSwept = this.#records.sweep(nowMs, SWEEP_LIMIT) < SWEEP_LIMIT;
    // In a new life, attempts of the last one are looked at too, though their leases would last.
    const due = this.#isFresh ? this.#records.timed() : this.#records.due(nowMs);
    this.#isFresh = false;
    const work = this.#wakeAll(due, failed);
    try {
      this.#rearm(failed, isSwept);
    } finally {
      // Before the first await: should the object die from here on, the alarm rings in its next life, and soon.
      if (due.length > 0) this.#alarm.arm(nowMs + GUARD_MS);
      await work;
    }
    if (due.length > 0) this.#rearm(failed, isSwept);
  }

  async #wakeAll(due: readonly string[], failed: Set<string>): Promise<void> {
    const queue = due.values();
    const worker = async (): Promise<void> => {
      for (const record of queue) await this.#wake(record, failed);
    };
    await Promise.all(Array.from({ length: Math.min(WAKES_AT_ONCE, due.length) }, worker));
  }

  /** Runs the record's `woken`, and does what it claimed. */
  async #wake(record: string, failed: Set<string>): Promise<void> {
    const colon = record.indexOf(":");
    const machine = record.slice(0, colon);
    const id = record.slice(colon + 1);
    try {
      this.#makeTrackers(id);
      const woken = `${machine as WakingMachine}.woken` as const;
      if (findTransition(woken) === undefined) {
        throw new CoordinationError("unsupported", `this version of the object cannot wake ${machine}`);
      }
      const wakes = this.#local.wakesOf(machine);
      if (wakes.length === 0) this.#local.apply(woken, id, {});
      for (const wake of wakes) {
        const input = wake === wakes.at(-1) ? wake.input() : { ...wake.input(), more: true };
        const output = this.#local.apply(woken, id, input);
        await wake.act(id, output).catch((error: unknown) => this.#report(machine, id, error));
      }
    } catch (error) {
      failed.add(record);
      this.#report(machine, id, error);
    }
  }

  /** Late, since a subclass's fields are not there yet while this class's constructor runs. */
  #makeTrackers(id: string): void {
    if (this.#hasTrackers) return;
    const { handlers, retry, attemptTimeoutSec } = this;
    const { webhooks, noWebhooks } = this.#webhooks(id);
    const bare: DeliveryOptions = {
      waitUntil: (work) => this.ctx.waitUntil(work),
      onEvent: (event) => this.#emit(event),
    };
    const place: DeliveryPlace = {
      coordinator: () => this.handlerCoordinator(this.#prefix()),
      sole: this.#incarnation,
      tenant: this.tenantOf(this.#prefix()),
      noWebhooks,
    };
    try {
      const options: DeliveryOptions = {
        ...bare,
        handlers: (handlers ?? {}) as Record<string, Handler>,
        env: this.env,
        webhooks,
        ...(retry === undefined ? {} : { retry }),
        ...(attemptTimeoutSec === undefined ? {} : { attemptTimeoutSec }),
      };
      deliver(this.#local, options, place);
    } catch (error) {
      this.#report("completion", id, error);
      // Deadlines still count. Deliveries wait, and are reported, as they are for any handler that is missing.
      deliver(this.#local, bare, place);
    }
    this.#hasTrackers = true;
  }

  /** Webhooks that are set up wrongly must not take handlers and deadlines down with them. */
  #webhooks(id: string): { readonly webhooks: Webhooks | undefined; readonly noWebhooks?: string } {
    const { webhooks } = this;
    if (typeof webhooks !== "function") return { webhooks };
    try {
      return { webhooks: webhooks(this.#prefix()) };
    } catch (error) {
      // Told with the delivery that needs them: most groups need none.
      if (error instanceof CoordinationError) return { webhooks: undefined, noWebhooks: error.message };
      this.#report("completion", id, error);
      return { webhooks: undefined, noWebhooks: "the object's webhooks function failed" };
    }
  }

  /** Sets the alarm to the next instant that matters, or ends an object that holds nothing. */
  #rearm(failed: ReadonlySet<string>, isSwept: boolean): void {
    const records = this.#records;
    const nowMs = this.now();
    const { count, expiryMs, wakeMs, nextWakeMs } = records.outlook(nowMs);
    if (count === 0) {
      this.#prefix();
      this.#alarm.set(undefined);
      if (records.exists) records.forget();
      return;
    }
    const instants: number[] = [];
    if (nextWakeMs !== undefined) instants.push(nextWakeMs);
    const pauseMs = isSwept ? Math.max(SWEEP_PAUSE_MS, count * SWEEP_PAUSE_A_RECORD_MS) : 0;
    if (expiryMs !== undefined) instants.push(Math.max(expiryMs, nowMs + pauseMs));
    const due = wakeMs !== undefined && wakeMs <= nowMs ? records.due(nowMs) : [];
    if (due.some((record) => !failed.has(record))) instants.push(nowMs);
    else if (due.length > 0) instants.push(nowMs + PUT_OFF_MS);
    this.#alarm.set(instants.length === 0 ? undefined : Math.max(nowMs + 1, Math.min(...instants)));
  }

  /** What the client put before the tag in this object's name. */
  #prefix(): string {
    this.#keyPrefix ??= prefixOf(this.ctx.id.name) ?? this.#records.own ?? DEFAULT_KEY_PREFIX;
    return this.#keyPrefix;
  }

  /** An object that its alarm has started does not know its own name: what is not the default is stored with it. */
  #rememberPrefix(): void {
    const prefix = this.#prefix();
    if (prefix !== DEFAULT_KEY_PREFIX) this.#records.own = prefix;
  }

  #report(machine: string, id: string, error: unknown): void {
    this.#emit({ type: "wake_failed", machine, id, error });
  }

  #emit(event: CoordinatorEvent): void {
    emit((told) => this.onEvent(told), event);
  }
}

function publicTransition(name: string): TransitionName {
  if (findTransition(name) === undefined || isInternal(name)) {
    throw new CoordinationError("unsupported", "the object knows no such transition");
  }
  return name as TransitionName;
}

function prefixOf(name: string | undefined): string | undefined {
  const brace = name?.indexOf("{") ?? -1;
  return brace < 0 ? undefined : name?.slice(0, brace);
}
