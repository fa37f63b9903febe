import { DurableObject } from "cloudflare:workers";
import type { Coordinator } from "../../../coordinator.js";
import { MAX_ANSWER_BYTES } from "../../../core/limits.js";
import { findTransition, type TransitionName } from "../../../core/registry.js";
import type { Handler, Webhooks } from "../../../delivery/handler.js";
import { CoordinationError } from "../../../errors.js";
import type { RetryPolicy } from "../../../lib/backoff.js";
import type { Duration } from "../../../lib/duration.js";
import { isInternal, isWatchable } from "../../../runtime/access.js";
import { PUT_OFF_MS } from "../../../runtime/drain.js";
import type { CoordinatorEvent } from "../../../runtime/events.js";
import { emit, hookOrWarning } from "../../../runtime/events.js";
import type { ListedMachine, ListQuery } from "../../../runtime/listing.js";
import { MAX_HOP_MS } from "../../../runtime/long-poll.js";
import { partsOfRecord, recordName } from "../../../runtime/placement.js";
import { sizeOf } from "../../../runtime/size.js";
import { DurableObjectCoordinator } from "../client.js";
import type { ObjectNamespace } from "../options.js";
import type {
  IndexMessage,
  ObjectCall,
  ObjectMethods,
  ObjectReply,
  Reindexed,
  ShardCall,
  WatchClient,
  WatchReply,
} from "../protocol.js";
import { ObjectAlarm } from "./alarm.js";
import { AlarmRound } from "./alarm-round.js";
import { ClientWaits } from "./client-waits.js";
import { IndexNews } from "./index-news.js";
import { IndexSender, shardStub } from "./index-sender.js";
import { KeyPrefix } from "./key-prefix.js";
import { LocalBackend } from "./local-backend.js";
import { ObjectDeliveries } from "./object-deliveries.js";
import { noIndex, ObjectIndex } from "./object-index.js";
import { SqliteRecords } from "./records.js";
import { answer, answerLater, faultReply, noRoomReply } from "./reply.js";

/** How many waits may be open in one object. */
export const MAX_WATCHES = 10_000;

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
  readonly #prefix: KeyPrefix;
  readonly #index: ObjectIndex;
  readonly #news: IndexNews;
  readonly #alarm: ObjectAlarm;
  readonly #local: LocalBackend;
  readonly #deliveries: ObjectDeliveries;
  readonly #round: AlarmRound;
  readonly #warn = hookOrWarning(undefined, () => this.now());
  readonly #waits = new ClientWaits();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#records = new SqliteRecords(ctx.storage);
    this.#prefix = new KeyPrefix(ctx.id, this.#records);
    this.#alarm = new ObjectAlarm(ctx.storage);
    this.#local = new LocalBackend({
      records: this.#records,
      alarm: this.#alarm,
      now: () => this.now(),
      maxWaits: MAX_WATCHES,
      isIndexed: () => this.#isIndexed(),
      onFirstWrite: () => {
        this.#round.startsEmpty();
        this.#prefix.remember();
      },
      onEvent: (event) => this.#emit(event),
    });
    this.#index = new ObjectIndex({
      storage: ctx.storage,
      alarm: this.#alarm,
      now: () => this.now(),
      isIndexed: () => this.#isIndexed(),
      shard: (keyPrefix, number) => shardStub(this.namespace(this.env), keyPrefix, number),
      onFailure: (error) => this.#emit({ type: "drain_failed", error }),
    });
    const sender = new IndexSender({
      env,
      namespace: () => this.namespace(this.env),
      keyPrefix: () => this.#prefix.text,
    });
    this.#news = new IndexNews({
      records: this.#records,
      now: () => this.now(),
      isIndexed: () => this.#isIndexed(),
      brief: (record) => {
        const { machine, id } = partsOfRecord(record);
        return this.#local.apply(`${machine as ListedMachine}.brief`, id, {});
      },
      send: (line) => sender.send(line),
      onFailure: (error) => this.#emit({ type: "drain_failed", error }),
    });
    this.#deliveries = new ObjectDeliveries({
      local: this.#local,
      settings: () => this,
      env,
      keyPrefix: () => this.#prefix.text,
      tenant: () => this.tenant,
      refusal: (handler) => this.handlerRefusal(handler, this.tenant),
      coordinator: () => this.handlerCoordinator(this.#prefix.text),
      waitUntil: (work) => ctx.waitUntil(work),
      onEvent: (event) => this.#emit(event),
    });
    this.#round = new AlarmRound({
      records: this.#records,
      alarm: this.#alarm,
      wakers: this.#local.wakers,
      news: this.#news,
      now: () => this.now(),
      beforeWake: (id) => this.#deliveries.start(id),
      // Without its storage the object no longer knows the prefix.
      beforeForget: () => void this.#prefix.text,
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
    try {
      const name = publicTransition(transition);
      if (!isWatchable(name)) throw new CoordinationError("unsupported", "the transition cannot be watched");
      const limitMs = Math.min(timeoutMs > 0 ? timeoutMs : 0, MAX_HOP_MS);
      const wait = (signal: AbortSignal) =>
        this.#local.watch(name, id, input as never, { timeoutMs: limitMs, signal, resolvesLate: true });
      return await this.#waits.open(client, wait);
    } catch (error) {
      return faultReply(error);
    }
  }

  /** Stores a line of the index that this object is a shard of. Other objects call it. @internal */
  indexLine(line: IndexMessage): Promise<ObjectReply> {
    return answerLater(() => this.#index.put(line));
  }

  /** Answers another shard of the index. @internal */
  indexShard(call: ShardCall): ObjectReply {
    return answer(() => this.#index.answer(call));
  }

  /** Returns a page of the index that this object is. Returns `unsupported` where the class has no `index`. */
  listIndex(query: ListQuery, shards = 1): Promise<ObjectReply> {
    return answerLater(() => this.#index.page(query, shards));
  }

  /** Tells the index of this object's record again, at once. If the index does not answer, the alarm tells it later. */
  async reindex(machine: ListedMachine, id: string): Promise<ObjectReply> {
    if (!this.#isIndexed()) return faultReply(noIndex());
    const found = await this.#news.tellAgain(recordName(machine, id), (atMs) => this.#alarm.arm(atMs));
    return answer((): Reindexed => ({ found }));
  }

  /** Returns the counts of the index that this object is. Returns `unsupported` where the class has no `index`. */
  countIndex(shards = 1): Promise<ObjectReply> {
    return answerLater(() => this.#index.counts(shards));
  }

  /** Ends a wait whose client has disconnected. */
  leave(ticket: string): void {
    this.#waits.leave(ticket);
  }

  /**
   * Removes expired records, wakes due ones, and sets the next alarm. Never rejects: the platform drops an alarm after seven
   * failures, and every record here has its own retry time.
   */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    try {
      if (this.#index.exists) await this.#index.ring();
      else await this.#round.run();
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

  /**
   * Returns why a handler must not be called for a tenant; `undefined` when it may. Its deliveries then wait, and become dead
   * letters after a day. The event `unhandled` has the reason. Default: every handler may be called.
   */
  protected handlerRefusal(_handler: string, _tenant: string | undefined): string | undefined {
    return undefined;
  }

  /** The tenant of this object's records. */
  protected get tenant(): string | undefined {
    return this.tenantOf(this.#prefix.text);
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
      if (!this.#alarm.isStanding && this.#records.exists) this.#round.rearm(new Set(), false);
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

  /** An object whose class names no binding cannot reach the index. */
  #isIndexed(): boolean {
    if (this.index !== true) return false;
    try {
      return this.namespace(this.env) !== undefined;
    } catch {
      return false;
    }
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
