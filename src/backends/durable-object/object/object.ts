import { DurableObject } from "cloudflare:workers";
import type { Coordinator } from "../../../coordinator.js";
import { MAX_ANSWER_BYTES } from "../../../core/limits.js";
import { findTransition, type TransitionName } from "../../../core/registry.js";
import type { Handler, Webhooks } from "../../../delivery/handler.js";
import { CoordinationError } from "../../../errors.js";
import type { RetryPolicy } from "../../../lib/backoff.js";
import { systemClock } from "../../../lib/clock.js";
import { newOp } from "../../../lib/ids.js";
import { isInternal, isWatchable } from "../../../runtime/access.js";
import type { WakingMachine } from "../../../runtime/backend.js";
import { type DueLine, type DueQueue, drainQueue } from "../../../runtime/drain.js";
import type { CoordinatorEvent } from "../../../runtime/events.js";
import { emit, hookOrWarning } from "../../../runtime/events.js";
import { recordName } from "../../../runtime/placement.js";
import { sizeOf } from "../../../runtime/size.js";
import { type DeliveryOptions, type DeliveryPlace, deliver } from "../../../trackers/deliver.js";
import { DurableObjectCoordinator } from "../client.js";
import type { ObjectNamespace } from "../options.js";
import {
  MAX_HOP_MS,
  type ObjectCall,
  type ObjectMethods,
  type ObjectReply,
  type WatchClient,
  type WatchReply,
} from "../protocol.js";
import { ObjectAlarm } from "./alarm.js";
import { LargeReplies } from "./large-replies.js";
import { LocalBackend } from "./local-backend.js";
import { SqliteRecords } from "./records.js";
import { answer, faultReply, noRoomReply } from "./reply.js";

/** How many waits one object holds. */
export const MAX_WATCHES = 10_000;

const DEFAULT_KEY_PREFIX = "coord:";
/** How many expired records are removed in one turn of the event loop, and by one alarm at most. */
const SWEEP_A_TURN = 500;
const SWEEP_AN_ALARM = 10_000;
/**
 * How long the next sweep waits when there was no more to remove: longer the more records it will look through, so that an
 * object of many reads a few hundred rows a second at most for it.
 */
const SWEEP_PAUSE_MS = 10_000;
const SWEEP_PAUSE_A_RECORD_MS = 10;
/** After how long an alarm begins no more deliveries: the platform ends it after 15 minutes. */
const ALARM_BUDGET_MS = 60_000;
/** How many records are woken side by side, and in one turn of the event loop. */
const WAKES_AT_ONCE = 6;
const WAKES_A_TURN = 64;
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
  readonly #local: LocalBackend;
  /** Which life of the object this is: an attempt that an earlier one had begun ended with it. */
  readonly #incarnation = newOp();
  readonly #warn = hookOrWarning(undefined, () => this.now());
  readonly #replies = new LargeReplies();
  /** The waits that a client can end, by their tickets. */
  readonly #open = new Map<string, AbortController>();
  #isFresh = true;
  #keyPrefix: string | undefined;
  #hasTrackers = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#records = new SqliteRecords(ctx.storage);
    this.#alarm = new ObjectAlarm(ctx.storage);
    this.#local = new LocalBackend({
      records: this.#records,
      alarm: this.#alarm,
      now: () => this.now(),
      maxWaits: MAX_WATCHES,
      onFirstWrite: () => this.#rememberPrefix(),
      onEvent: (event) => this.#emit(event),
    });
    void ctx.blockConcurrencyWhile(() => this.#load());
  }

  /** Runs one public transition, atomically. Never rejects for what the caller did: faults are values. */
  run(transition: string, id: string, input: unknown): ObjectReply {
    return answer(() => this.#local.apply(publicTransition(transition), id, input as never));
  }

  /**
   * Runs several, in their order: each is atomic by itself, and has a reply of its own. Once their answers take 4 MB, the
   * others are not run: their replies say so, before they take any memory.
   */
  runMany(calls: readonly ObjectCall[]): ObjectReply[] {
    let size = 0;
    return calls.map(({ transition, id, input }) => {
      if (size >= MAX_ANSWER_BYTES) return noRoomReply();
      const reply = this.run(transition, id, input);
      size += sizeOf(reply);
      return reply;
    });
  }

  /**
   * Resolves once the transition's output is `ready`, or after `timeoutMs` (25,000 at most) with the last output. The write
   * that makes it ready resolves it in the same turn. `leave` with the same `ticket` ends it at once. Beyond 10,000 waits it
   * answers `limit_exceeded`, retryable.
   */
  async watch(
    transition: string,
    id: string,
    input: unknown,
    timeoutMs: number,
    client?: WatchClient,
  ): Promise<WatchReply> {
    const left = new AbortController();
    try {
      const name = publicTransition(transition);
      if (!isWatchable(name)) throw new CoordinationError("unsupported", "the transition cannot be watched");
      if (client !== undefined) this.#open.set(client.ticket, left);
      const limitMs = Math.min(timeoutMs > 0 ? timeoutMs : 0, MAX_HOP_MS);
      const options = { timeoutMs: limitMs, signal: left.signal, resolvesLate: true };
      const output = await this.#local.watch(name, id, input as never, options);
      if (client === undefined || !this.#replies.isLarge(output)) return { ok: true, output };
      await this.#replies.send(async () => client.take({ ok: true, output }));
      return { ok: true, isTaken: true };
    } catch (error) {
      return faultReply(error);
    } finally {
      if (client !== undefined) this.#open.delete(client.ticket);
    }
  }

  /** Ends a wait whose client has gone. */
  leave(ticket: string): void {
    this.#open.get(ticket)?.abort();
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

  /** How many waits are open in this object. */
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
    // In a new life, attempts of the last one are looked at too, though their leases would last.
    const due = this.#isFresh ? this.#records.timed() : this.#records.due(nowMs);
    this.#isFresh = false;
    const expired = this.#records.expired(nowMs, SWEEP_AN_ALARM);
    // Before the first await: should the object die from here on, the alarm rings in its next life, and soon.
    if (due.length > 0 || expired.length > SWEEP_A_TURN) this.#alarm.arm(nowMs + GUARD_MS);
    await Promise.all([this.#sweep(expired, nowMs), this.#wakeAll(due, failed)]);
    this.#rearm(failed, expired.length < SWEEP_AN_ALARM);
  }

  /** Removes what has expired, a part of it in each turn. */
  async #sweep(expired: readonly string[], nowMs: number): Promise<void> {
    for (let from = 0; from < expired.length; from += SWEEP_A_TURN) {
      if (from > 0) await nextTurn();
      this.#records.sweep(expired.slice(from, from + SWEEP_A_TURN), nowMs);
    }
  }

  /** Wakes records, and waits until what they asked for has ended. */
  async #wakeAll(due: readonly string[], failed: Set<string>): Promise<void> {
    let from = 0;
    const queue: DueQueue<DueLine> = {
      take: async () => {
        if (from >= due.length) return undefined;
        if (from > 0) await nextTurn();
        const names = due.slice(from, from + WAKES_A_TURN);
        from += names.length;
        return names.map(lineOf);
      },
      putOff: ({ machine, id }) => void failed.add(recordName(machine, id)),
      giveBack: () => {},
      outlook: () => ({ isDue: false, nextDueAtMs: undefined }),
    };
    if (due[0] === undefined) return;
    this.#makeTrackers(lineOf(due[0]).id);
    const clock = { ...systemClock, now: () => this.now() };
    const budgetMs = ALARM_BUDGET_MS;
    await drainQueue(queue, { budgetMs, atOnce: WAKES_AT_ONCE, clock, wakers: this.#local.wakers });
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

function lineOf(record: string): DueLine {
  const colon = record.indexOf(":");
  return { machine: record.slice(0, colon) as WakingMachine, id: record.slice(colon + 1), atMs: 0 };
}

/** Lets calls of the object be answered in between. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function prefixOf(name: string | undefined): string | undefined {
  const brace = name?.indexOf("{") ?? -1;
  return brace < 0 ? undefined : name?.slice(0, brace);
}
