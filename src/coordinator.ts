import type { ListPage } from "./core/kv.js";
import type { InputOf, OutputOf, TransitionName } from "./core/registry.js";
import { CoordinationError, withApplied } from "./errors.js";
import { type Duration, inMillis, inSeconds } from "./lib/duration.js";
import { newOp } from "./lib/ids.js";
import { checkId, checkInteger, checkNumber, checkText, checkTtlSec, MAX_ITEM_BYTES, MAX_SEC } from "./lib/validate.js";
import type {
  Backend,
  Drainable,
  DrainCallOptions,
  DrainReport,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
} from "./runtime/backend.js";
import type { EveryMethod } from "./runtime/forwarding-backend.js";
import { numberFrom, refusalOfKey } from "./runtime/key-reply.js";
import type { ListAnswer, ListQuery } from "./runtime/listing.js";

/** How many members, items or keys one call may carry. */
export const MAX_BATCH = 10_000;

/** Workers open at most six connections at a time. */
const DELETES_AT_ONCE = 6;

/** How often a list is read again from its beginning, because it was deleted and recreated between two pages. */
const MAX_RESTARTS = 10;

/** Options of a coordinator over any backend. */
export interface CoordinatorOptions {
  /**
   * Whether other processes see the same state.
   *
   * @default true
   */
  readonly isDistributed?: boolean | undefined;
  /**
   * How long raw keys are kept after their last write, and ended groups after their end, in seconds. At most a year; 0:
   * raw keys do not expire.
   *
   * @default 3600
   */
  readonly ttlSec?: Duration | undefined;
  /** The default timeout of groups, in seconds; 0 for none. Default: the tracker's. */
  readonly completionTimeoutSec?: Duration | undefined;
}

/**
 * Shared state for stateless callers. Every operation is atomic, takes one round trip, and uses the backend's clock.
 * Raw keys expire `defaultTtlSec` after their last write, or as `expire` sets.
 *
 * Ids and keys are 1 to 256 bytes of UTF-8. The first write decides a raw key's kind: a number, a set, a list or a
 * flag.
 *
 * Any call rejects with `invalid_input` for an argument out of range, before it sends anything. It rejects with the
 * backend's errors, such as `backend_unavailable`. `limit_exceeded` may also mean that one request is larger than the
 * backend accepts.
 *
 * `MemoryCoordinator`, `UpstashCoordinator` and the others come with their own backends. A test double or another
 * backend implements the methods of `Backend`: `new Coordinator(backend)` adds the rest.
 */
export class Coordinator implements Backend {
  /** Whether other processes see the same state. */
  readonly isDistributed: boolean;
  /**
   * How long raw keys are kept after their last write, and ended groups after their end, in seconds. 0: raw keys do not
   * expire.
   */
  readonly defaultTtlSec: number;
  /** The default timeout of groups, in seconds; 0 for none. */
  readonly completionTimeoutSec?: number;
  readonly #backend: Backend;

  /**
   * @throws {CoordinationError} `misconfigured` when `backend` is not a backend, `invalid_input` for an option out of
   * range.
   */
  constructor(backend: Backend, options: CoordinatorOptions = {}) {
    for (const name of ["run", "watch", "onWake"] as const) {
      if (typeof backend?.[name] !== "function") {
        throw new CoordinationError("misconfigured", `backend.${name} must be a function`);
      }
    }
    const { isDistributed = true } = options;
    const ttlSec = inSeconds(options.ttlSec, "ttlSec") ?? 3_600;
    const completionTimeoutSec = inSeconds(options.completionTimeoutSec, "completionTimeoutSec");
    checkNumber(ttlSec, "ttlSec", 0, MAX_SEC);
    if (completionTimeoutSec !== undefined) {
      checkNumber(completionTimeoutSec, "completionTimeoutSec", 0, MAX_SEC);
      this.completionTimeoutSec = completionTimeoutSec;
    }
    this.isDistributed = isDistributed;
    this.defaultTtlSec = ttlSec;
    this.#backend = backend;
  }

  /** Runs one transition on one record: atomic, in one round trip. */
  run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options?: RunOptions,
  ): Promise<OutputOf<N>> {
    return this.#backend.run(transition, id, input, options);
  }

  /**
   * Resolves with the first output of the transition that is `ready`. Each read is atomic. Callers with the same
   * transition, id and input share reads and the output, which is frozen.
   *
   * @throws {CoordinationError} `wait_timeout` after `timeoutMs`; `limit_exceeded`, retryable, when the object holds
   * 10,000 waits.
   */
  watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#backend.watch(transition, id, input, options);
  }

  /**
   * Adds a waker, which delivers what a woken record of the machine claims. Returns a function that removes it.
   *
   * @throws {CoordinationError} `unsupported` where the backend delivers by itself; the message says where to register
   * handlers.
   */
  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#backend.onWake(machine, wake);
  }

  /**
   * Returns one page of the backend's index of groups or requests. The `list` of a tracker calls it.
   *
   * @throws {CoordinationError} `unsupported` for a backend without an index.
   */
  async list(query: ListQuery, options: Pick<RunOptions, "signal"> = {}): Promise<ListAnswer> {
    if (this.#backend.list === undefined) {
      throw new CoordinationError(
        "unsupported",
        "the backend keeps no index: with defineBackend, add the function list",
      );
    }
    return this.#backend.list(query, options);
  }

  /**
   * Adds `delta` (a safe integer, default 1) and returns the sum. A missing key counts as 0.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind. `limit_exceeded` when the sum is not a safe
   * integer; the number then stays unchanged.
   */
  async incr(key: string, delta = 1): Promise<number> {
    checkId(key, "key");
    checkInteger(delta, "delta", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    return numberFrom(await this.run("kv.incr", key, { ...this.#write(), delta }));
  }

  /**
   * Returns the number under the key; 0 when it is missing.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  async getInt(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.getInt", key, {}));
  }

  /**
   * Creates the key as a flag, unless a key of any kind exists. Returns whether it did. The key expires after `ttlSec`:
   * more than 0, at most a year.
   */
  async setIfAbsent(key: string, ttlSec: Duration): Promise<boolean> {
    checkId(key, "key");
    const ttlMs = checkTtlSec(ttlSec, "ttlSec");
    return (await this.run("kv.setIfAbsent", key, { op: newOp(), ttlMs })).set;
  }

  /**
   * Adds members to a set. Returns how many were new. Takes up to 10,000 members a call, each of up to 2,048 bytes;
   * without members it does nothing.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind. `limit_exceeded` when the set would hold more
   * than 100,000 members; none is added then.
   */
  async sadd(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.sadd", key, { ...this.#write(), members }));
  }

  /**
   * Removes members from a set. Returns how many were removed. Takes up to 10,000 members a call, each of up to 2,048
   * bytes. A set without members is deleted.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  async srem(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.srem", key, { ...this.#write(), members }));
  }

  /**
   * Returns how many members the set has; 0 when it is missing.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  async scard(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.scard", key, {}));
  }

  /**
   * Appends items to a list. Returns the list's length. Takes 1 to 10,000 items a call, each of up to 2,048 bytes.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind. `limit_exceeded` when the list would hold more
   * than 10,000 items; none is appended then.
   */
  async rpush(key: string, ...values: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(values, "values");
    if (values.length === 0) throw new CoordinationError("invalid_input", "values must hold at least one");
    return numberFrom(await this.run("kv.rpush", key, { ...this.#write(), values }));
  }

  /**
   * Returns the whole list, oldest first; an empty one when it is missing. Takes one round trip a megabyte. A list
   * grows only at its end. So the result is the list as it was at the last round trip.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind. `conflict`, retryable, for a list that was
   * deleted and recreated more than ten times while it was read.
   */
  async lrange(key: string): Promise<string[]> {
    checkId(key, "key");
    let values: string[] = [];
    let page: ListPage = {};
    for (let restarts = 0; restarts <= MAX_RESTARTS; ) {
      const { life, next: from = 0 } = page;
      page = await this.run("kv.lrange", key, life === undefined ? {} : { from, life });
      if (page.values === undefined) throw refusalOfKey(page.refused);
      // Pages with the same `life` belong to the same list, which only grows at its end.
      const goesOn = life === undefined || page.life === life;
      if (!goesOn) restarts++;
      values = goesOn ? values.concat(page.values) : page.values;
      if (page.next === undefined) return values;
    }
    const message = "the list was recreated while it was read";
    throw new CoordinationError("conflict", message, { retryable: true });
  }

  /**
   * Sets the TTL of a key of any kind. Later writes do not change it. Returns false when the key is missing. `ttlSec`
   * is more than 0, at most a year.
   */
  async expire(key: string, ttlSec: Duration): Promise<boolean> {
    checkId(key, "key");
    return (await this.run("kv.expire", key, { ttlMs: checkTtlSec(ttlSec, "ttlSec") })).found;
  }

  /**
   * Removes up to 10,000 keys of any kind. Returns how many existed. Each key is a separate operation: not atomic over
   * several keys. When one operation fails, the call rejects with its error. `applied` is then `"unknown"` if other
   * keys were already removed.
   *
   * For a minute a deleted key keeps the ids of its latest 1,000 operations. A late copy of one changes nothing.
   */
  async delete(...keys: string[]): Promise<number> {
    if (keys.length > MAX_BATCH) throw new CoordinationError("invalid_input", `keys must hold at most ${MAX_BATCH}`);
    for (const [i, key] of keys.entries()) checkId(key, `keys[${i}]`);
    const left = new Set(keys).values();
    let deleted = 0;
    const worker = async (): Promise<void> => {
      for (const key of left) {
        if ((await this.run("kv.delete", key, { op: newOp() })).found) deleted++;
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: Math.min(DELETES_AT_ONCE, keys.length) }, worker));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw deleted > 0 ? inDoubt(failed.reason) : failed.reason;
    return deleted;
  }

  /** Returns the input that every write of a raw key carries. */
  #write(): { op: string; ttlMs: number } {
    return { op: newOp(), ttlMs: Math.round(this.defaultTtlSec * 1000) };
  }
}

/**
 * A coordinator on a backend without timers. A drain wakes its due records: by a schedule, `drainEvery`, `drainRoutes`
 * or an `AlarmClock`.
 */
export class DrainableCoordinator extends Coordinator implements Drainable {
  readonly #drain: Drainable["drain"];

  /** @throws {CoordinationError} `misconfigured` for a backend without `drain`, and the errors of `Coordinator`. */
  constructor(backend: Backend & Drainable, options: CoordinatorOptions = {}) {
    super(backend, options);
    if (typeof backend.drain !== "function") {
      throw new CoordinationError("misconfigured", "backend.drain must be a function");
    }
    this.#drain = (drainOptions) => backend.drain(drainOptions);
  }

  /**
   * Runs due work, on backends without timers. Safe to call anywhere, at any time, concurrently.
   *
   * @throws {CoordinationError} `invalid_input` for an option out of range. The errors of `run` when the queue cannot
   * be read.
   */
  async drain(options: DrainCallOptions = {}): Promise<DrainReport> {
    const budgetMs = inMillis(options.budgetMs, "budgetMs");
    return this.#drain({ ...options, budgetMs });
  }
}

/** Returns whether a coordinator of any kind can be drained. */
export function isDrainable(coordinator: Coordinator): coordinator is DrainableCoordinator {
  return coordinator instanceof DrainableCoordinator;
}

/**
 * Returns a coordinator over a wrapper of `inner`, with the settings of `inner`. It can be drained if the wrapper can.
 * A wrapper that forgets a method of `Backend` does not compile.
 */
export function coordinatorOver(wrapper: EveryMethod, inner: Coordinator): Coordinator {
  const { isDistributed, defaultTtlSec: ttlSec, completionTimeoutSec } = inner;
  const settings = { isDistributed, ttlSec, completionTimeoutSec };
  if (wrapper.drain === undefined) return new Coordinator(wrapper as Backend, settings);
  return new DrainableCoordinator(wrapper as Backend & Drainable, settings);
}

function checkTexts(values: readonly string[], field: string): void {
  if (values.length > MAX_BATCH) {
    throw new CoordinationError("invalid_input", `${field} must hold at most ${MAX_BATCH}`);
  }
  for (const [i, value] of values.entries()) checkText(value, `${field}[${i}]`, MAX_ITEM_BYTES);
}

/** Returns the failure of one call of several, when others were applied. */
function inDoubt(error: unknown): unknown {
  return error instanceof CoordinationError ? withApplied(error, "unknown") : error;
}
