import { DurableObject } from "cloudflare:workers";
import type { Coordinator } from "../../../coordinator.js";
import { MAX_ANSWER_BYTES } from "../../../core/limits.js";
import { findTransition, type TransitionName } from "../../../core/registry.js";
import type { Handler, Webhooks } from "../../../delivery/handler.js";
import { CoordinationError } from "../../../errors.js";
import type { RetryPolicy } from "../../../lib/backoff.js";
import { systemClock } from "../../../lib/clock.js";
import type { Duration } from "../../../lib/duration.js";
import { newOp } from "../../../lib/ids.js";
import { isInternal, isWatchable } from "../../../runtime/access.js";
import type { WakingMachine } from "../../../runtime/backend.js";
import { type DueLine, type DueQueue, drainQueue } from "../../../runtime/drain.js";
import type { CoordinatorEvent } from "../../../runtime/events.js";
import { emit, hookOrWarning } from "../../../runtime/events.js";
import type { IndexCounts, ListedMachine, ListQuery } from "../../../runtime/listing.js";
import { recordName } from "../../../runtime/placement.js";
import { sizeOf } from "../../../runtime/size.js";
import { type DeliveryOptions, type DeliveryPlace, deliver } from "../../../trackers/deliver.js";
import { DurableObjectCoordinator } from "../client.js";
import { outputOf } from "../object-calls.js";
import type { ObjectNamespace } from "../options.js";
import {
  INDEX_TAG,
  type IndexHolds,
  type IndexMessage,
  MAX_HOP_MS,
  type ObjectCall,
  type ObjectMethods,
  type ObjectReply,
  type WatchClient,
  type WatchReply,
} from "../protocol.js";
import { ObjectAlarm } from "./alarm.js";
import { IndexNews, TELL_AFTER_MS } from "./index-news.js";
import { LargeReplies } from "./large-replies.js";
import { LineTable } from "./line-table.js";
import { LocalBackend } from "./local-backend.js";
import { SqliteRecords } from "./records.js";
import { answer, faultReply, noRoomReply } from "./reply.js";
import { INDEX_MARK } from "./tables.js";

/** How many waits may be open in one object. */
export const MAX_WATCHES = 10_000;

const DEFAULT_KEY_PREFIX = "coord:";
/** How many expired records are removed in one turn of the event loop, and by one alarm. */
const SWEEP_A_TURN = 500;
const SWEEP_AN_ALARM = 10_000;
/**
 * The pause before the next sweep when all expired records were removed. The pause grows with the number of records. So a
 * large object reads at most a few hundred rows a second for sweeps.
 */
const SWEEP_PAUSE_MS = 60_000;
const SWEEP_PAUSE_A_RECORD_MS = 10;
/** After this time an alarm begins no more deliveries: the platform stops an alarm after 15 minutes. */
const ALARM_BUDGET_MS = 60_000;
/** How many records are woken concurrently, and in one turn of the event loop. */
const WAKES_AT_ONCE = 6;
const WAKES_A_TURN = 64;
/** When the alarm fires again if the object crashes during its work. Alarms of a running object never overlap. */
const GUARD_MS = 2_000;
/** How often an index removes expired lines. A page leaves them out before that. */
const SWEEP_LINES_MS = 3_600_000;
/** When a record that could not be woken is tried again. */
const PUT_OFF_MS = 30_000;

/**
 * The Durable Object behind a `DurableObjectCoordinator`: records in SQLite, timers in its alarm, and durable callbacks.
 * Extend it, declare your handlers, and bind it with `new_sqlite_classes`.
 *
 * Handlers run from the alarm with the object's `env`, at least once, also after a crash or a deploy. Alarms run one after
 * another. While a handler is slow, the object still answers calls; the next alarm fires when the handler is done. An
 * object whose records have all expired deletes its storage and ceases to exist.
 *
 * The object trusts every caller that has the binding. Declare `handlers`, `webhooks`, `retry` and `attemptTimeoutSec` as
 * fields, not as getters: RPC cannot read fields.
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
   * Sends the webhooks of registrations that name a URL: `webhookSender(…)`. Or a function that returns a sender for the
   * client's key prefix, so that each tenant has its own secret. Without a sender, webhooks wait for a day and then become
   * dead letters. If the function throws, webhooks wait as well; events and the console give the reason.
   */
  declare readonly webhooks?: Webhooks | ((keyPrefix: string) => Webhooks | undefined) | undefined;
  /**
   * How deliveries are retried, with full jitter.
   *
   * @default 12 attempts, 1 s to 15 min
   */
  declare readonly retry?: RetryPolicy;
  /**
   * How long one attempt of a delivery may take, in seconds: 0.001 to 840.
   *
   * @default 30
   */
  declare readonly attemptTimeoutSec?: Duration;

  /**
   * Whether groups and requests are listed. Each object then tells the index of its key prefix, which is one more object of
   * this class, when its group is registered, ends, or owes another delivery. Needs `namespace`.
   *
   * @default false: `list` is refused
   */
  declare readonly index?: boolean;

  readonly #records: SqliteRecords;
  readonly #lines: LineTable;
  readonly #news: IndexNews;
  readonly #alarm: ObjectAlarm;
  readonly #local: LocalBackend;
  /** Identifies this instance of the object in memory. Attempts of an earlier instance ended with it. */
  readonly #incarnation = newOp();
  readonly #warn = hookOrWarning(undefined, () => this.now());
  readonly #replies = new LargeReplies();
  /** The open waits by the tickets with which a client ends them. */
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
      isIndexed: () => this.#isIndexed(),
      onFirstWrite: () => {
        // Nothing was stored, so no earlier instance has begun an attempt.
        this.#isFresh = false;
        this.#rememberPrefix();
      },
      onEvent: (event) => this.#emit(event),
    });
    this.#lines = new LineTable(ctx.storage);
    this.#news = new IndexNews({
      records: this.#records,
      now: () => this.now(),
      isIndexed: () => this.#isIndexed(),
      brief: (record) => {
        const { machine, id } = lineOf(record);
        return this.#local.apply(`${machine as ListedMachine}.brief`, id, {});
      },
      send: (line) => this.#sendLine(line),
      onFailure: (error) => this.#emit({ type: "drain_failed", error }),
    });
    void ctx.blockConcurrencyWhile(() => this.#load());
  }

  /** Runs one public transition, atomically. Never rejects for an error of the caller: errors are values. */
  run(transition: string, id: string, input: unknown): ObjectReply {
    return answer(() => this.#local.apply(publicTransition(transition), id, input as never));
  }

  /**
   * Runs several transitions in their order. Each is atomic by itself and has its own reply. Once the answers take 4 MB, the
   * remaining calls are not run, and their replies say so. This limits memory.
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
   * that makes the output ready resolves the wait in the same turn. `leave` with the same `ticket` ends the wait at once.
   * Returns `limit_exceeded`, retryable, beyond 10,000 open waits.
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

  /** Stores a line of the index that this object is. Other objects call it. @internal */
  indexLine(line: IndexMessage): ObjectReply {
    return answer((): IndexHolds => {
      const sentAtMs = this.#lines.put(line);
      this.#alarm.arm(this.now() + SWEEP_LINES_MS);
      return { sentAtMs };
    });
  }

  /** Returns a page of the index that this object is. Returns `unsupported` where the class has no `index`. */
  listIndex(query: ListQuery): ObjectReply {
    return answer(() => {
      this.#checkIndexed();
      const nowMs = this.now();
      return { ...this.#lines.page(query, nowMs), asOfMs: nowMs - TELL_AFTER_MS };
    });
  }

  /** Returns the counts of the index that this object is. Returns `unsupported` where the class has no `index`. */
  countIndex(): ObjectReply {
    return answer((): IndexCounts => {
      this.#checkIndexed();
      const nowMs = this.now();
      return { lists: this.#lines.counts(nowMs), asOfMs: nowMs - TELL_AFTER_MS };
    });
  }

  /** Ends a wait whose client has disconnected. */
  leave(ticket: string): void {
    this.#open.get(ticket)?.abort();
  }

  /**
   * Removes expired records, wakes due ones, and sets the next alarm. Never rejects: the platform drops an alarm after seven
   * failures, and every record here has its own retry time.
   */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    try {
      if (this.#lines.exists) this.#sweepLines();
      else await this.#ring();
    } catch (error) {
      this.#putOff(error);
    }
  }

  /**
   * Receives every attempt of a delivery, and failures outside of any call. Override it to log or count. The default warns on
   * the console about events that need an operator, at most once a minute from an object.
   */
  protected onEvent(event: CoordinatorEvent): void {
    this.#warn(event);
  }

  /** Returns the tenant of a key prefix, which handlers receive as `tenant`. Default: undefined, no tenants. */
  protected tenantOf(_keyPrefix: string): string | undefined {
    return undefined;
  }

  /** The tenant of this object's records. */
  protected get tenant(): string | undefined {
    return this.tenantOf(this.#prefix());
  }

  /** Returns the time for every decision, in milliseconds since 1970. Override it in tests. */
  protected now(): number {
    return Date.now();
  }

  /** How many waits are open in this object. */
  protected get watching(): number {
    return this.#local.watching;
  }

  /**
   * Returns the binding of this class, for handlers that use the coordinator and for requests that wait for a group. In a
   * jurisdiction, return the namespace of that jurisdiction. Default `env.COORDINATOR`.
   */
  protected namespace(env: Env): ObjectNamespace {
    const { COORDINATOR } = Object(env) as { COORDINATOR?: ObjectNamespace };
    if (COORDINATOR === undefined) {
      const hint = "bind the object's class as COORDINATOR, or override namespace(env)";
      throw new CoordinationError("misconfigured", `ctx.coordinator needs a binding: ${hint}`);
    }
    return COORDINATOR;
  }

  /**
   * Returns the coordinator that handlers receive as `ctx.coordinator`, configured like the client's. Override it for other
   * options.
   */
  protected handlerCoordinator(keyPrefix: string): Coordinator {
    return new DurableObjectCoordinator({ namespace: this.namespace(this.env), keyPrefix });
  }

  async #load(): Promise<void> {
    await this.#alarm.load(() => this.now());
    try {
      // The platform drops an alarm that failed seven times. The next call of the object sets it again.
      if (!this.#alarm.isStanding && this.#records.exists) this.#rearm(new Set(), false);
    } catch (error) {
      // Else the object would not start, and its calls would not say why.
      this.#putOff(error);
    }
  }

  /** Tries later: the storage failed, or its tables are of a later version. The due records are not even known. */
  #putOff(error: unknown): void {
    this.#alarm.arm(this.now() + PUT_OFF_MS);
    this.#emit({ type: "drain_failed", error });
  }

  async #ring(): Promise<void> {
    const nowMs = this.now();
    const failed = new Set<string>();
    // After a restart, also wake records whose attempts an earlier instance began: their leases have not expired yet.
    const due = this.#isFresh ? this.#records.timed() : this.#records.due(nowMs);
    this.#isFresh = false;
    const expired = this.#records.expired(nowMs, SWEEP_AN_ALARM);
    const records = due.filter((name) => name !== INDEX_MARK);
    // Before the first await: if the object crashes from here on, the alarm soon fires in its next instance.
    if (records.length > 0 || expired.length > SWEEP_A_TURN) this.#alarm.arm(nowMs + GUARD_MS);
    const telling = due.length > records.length ? this.#news.tell() : undefined;
    await Promise.all([this.#sweep(expired, nowMs), this.#wakeAll(records, failed), telling]);
    this.#rearm(failed, expired.length < SWEEP_AN_ALARM);
  }

  /** An object whose class names no binding cannot reach the index. */
  #isIndexed(): boolean {
    if (this.index !== true) return false;
    try {
      return this.namespace(this.env) !== undefined;
    } catch {
      return false;
    }
  }

  #checkIndexed(): void {
    if (this.#isIndexed()) return;
    throw new CoordinationError(
      "unsupported",
      "the objects keep no index: set index = true on their class, which needs its namespace",
    );
  }

  async #sendLine(line: IndexMessage): Promise<number> {
    const namespace = this.namespace(this.env);
    const stub = namespace.get(namespace.idFromName(this.#prefix() + INDEX_TAG)) as ObjectMethods;
    return outputOf<IndexHolds>(await stub.indexLine(line)).sentAtMs;
  }

  /** Removes expired lines of the index. An index without lines ceases to exist. */
  #sweepLines(): void {
    const nowMs = this.now();
    const left = this.#lines.sweep(nowMs);
    if (left === "none") this.#lines.drop();
    // The object answers calls between two alarms.
    else this.#alarm.arm(nowMs + (left === "more" ? 1 : SWEEP_LINES_MS));
  }

  /** Removes expired records, some in each turn of the event loop. */
  async #sweep(expired: readonly string[], nowMs: number): Promise<void> {
    for (let from = 0; from < expired.length; from += SWEEP_A_TURN) {
      if (from > 0) await nextTurn();
      this.#records.sweep(expired.slice(from, from + SWEEP_A_TURN), nowMs);
    }
  }

  /** Wakes records, and waits for the deliveries that they started. */
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

  /** Runs late, since a subclass's fields are not set while this class's constructor runs. */
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
      tenant: this.tenant,
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
      // Deadlines still work. Deliveries wait and are reported, like those without a handler.
      deliver(this.#local, bare, place);
    }
    this.#hasTrackers = true;
  }

  /** Returns the sender. Invalid webhook settings do not break handlers and deadlines. */
  #webhooks(id: string): { readonly webhooks: Webhooks | undefined; readonly noWebhooks?: string } {
    const { webhooks } = this;
    if (typeof webhooks !== "function") return { webhooks };
    try {
      return { webhooks: webhooks(this.#prefix()) };
    } catch (error) {
      // Reported with the delivery that needs webhooks: most groups need none.
      if (error instanceof CoordinationError) return { webhooks: undefined, noWebhooks: error.message };
      this.#report("completion", id, error);
      return { webhooks: undefined, noWebhooks: "the object's webhooks function failed" };
    }
  }

  /** Sets the next alarm, or deletes the storage of an object without records. */
  #rearm(failed: ReadonlySet<string>, isSwept: boolean): void {
    const records = this.#records;
    const nowMs = this.now();
    const { count, expiryMs, wakeMs, nextWakeMs } = records.outlook(nowMs);
    if (count === 0) {
      this.#alarm.pauseSweeps(nowMs);
      this.#prefix();
      this.#alarm.set(undefined);
      if (records.exists) records.forget();
      return;
    }
    const instants: number[] = [];
    if (nextWakeMs !== undefined) instants.push(nextWakeMs);
    const pauseMs = isSwept ? Math.max(SWEEP_PAUSE_MS, count * SWEEP_PAUSE_A_RECORD_MS) : 0;
    this.#alarm.pauseSweeps(nowMs + pauseMs);
    if (expiryMs !== undefined) instants.push(Math.max(expiryMs, nowMs + pauseMs));
    const due = wakeMs !== undefined && wakeMs <= nowMs ? records.due(nowMs) : [];
    if (due.some((record) => !failed.has(record))) instants.push(nowMs);
    else if (due.length > 0) instants.push(nowMs + PUT_OFF_MS);
    this.#alarm.set(instants.length === 0 ? undefined : Math.max(nowMs + 1, Math.min(...instants)));
  }

  /** Returns the part of the object's name that the client put before the tag. */
  #prefix(): string {
    this.#keyPrefix ??= prefixOf(this.ctx.id.name) ?? this.#records.own ?? DEFAULT_KEY_PREFIX;
    return this.#keyPrefix;
  }

  /** An object that was started by its alarm does not know its own name. A prefix other than the default is therefore stored. */
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

/** Yields to the event loop, so that the object answers calls in between. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function prefixOf(name: string | undefined): string | undefined {
  const brace = name?.indexOf("{") ?? -1;
  return brace < 0 ? undefined : name?.slice(0, brace);
}
