import type { ListPage } from "./core/kv.js";
import type { InputOf, OutputOf, TransitionName } from "./core/registry.js";
import { CoordinationError, withApplied } from "./errors.js";
import { newOp } from "./lib/ids.js";
import { checkId, checkInteger, checkNumber, checkText, checkTtlSec, MAX_ITEM_BYTES, MAX_SEC } from "./lib/validate.js";
import type {
  Backend,
  Drainable,
  DrainOptions,
  DrainReport,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
} from "./runtime/backend.js";

/** What one call may carry. */
const MAX_BATCH = 10_000;

/** Workers open six connections at a time. */
const DELETES_AT_ONCE = 6;

/** How often a list is read from its beginning, since it was deleted and made anew between two pages. */
const MAX_RESTARTS = 10;

interface KeyReply {
  readonly result?: string;
  readonly refused?: "wrong_kind" | "out_of_range" | "full";
}

/** What a coordinator is made with besides its backend. */
export interface CoordinatorOptions {
  /**
   * Whether other processes see the same state.
   *
   * @default true
   */
  readonly isDistributed?: boolean | undefined;
  /**
   * How long raw keys outlive their last write, and ended groups their end, in seconds. At most a year; 0: raw keys stay.
   *
   * @default 3600
   */
  readonly ttlSec?: number | undefined;
  /** The deadline of groups that give none, in seconds; 0 for none. Default: the tracker's. */
  readonly completionTimeoutSec?: number | undefined;
}

/**
 * Shared state that stateless callers agree on. Every operation is atomic, takes one round trip, and is decided by the
 * backend's clock. Raw keys live `defaultTtlSec` after their last write, or as `expire` says.
 *
 * Ids and keys are 1 to 256 bytes of UTF-8. A raw key's kind, a number, a set, a list or a flag, is that of its first write.
 *
 * Any call rejects with `invalid_input` for an argument out of range, before anything is sent, and with what the backend says
 * or suffers, such as `backend_unavailable`. `limit_exceeded` may also say that one request is larger than the backend takes.
 *
 * `MemoryCoordinator`, `UpstashCoordinator` and the others are made over backends of their own. A test double or another
 * backend implements the methods of `Backend`: `new Coordinator(backend)` gives it the rest.
 */
export class Coordinator implements Backend {
  /** Whether other processes see the same state. */
  readonly isDistributed: boolean;
  /** How long a raw key outlives its last write, and an ended group its end, in seconds. 0: raw keys stay. */
  readonly defaultTtlSec: number;
  /** The deadline of groups that give none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: number;
  readonly #backend: Backend;

  /**
   * @throws {CoordinationError} `misconfigured` for what is no backend, `invalid_input` for an option out of range.
   */
  constructor(backend: Backend, options: CoordinatorOptions = {}) {
    for (const name of ["run", "watch", "onWake"] as const) {
      if (typeof backend?.[name] !== "function") {
        throw new CoordinationError("misconfigured", `backend.${name} must be a function`);
      }
    }
    const { isDistributed = true, ttlSec = 3_600, completionTimeoutSec } = options;
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
   * Resolves with the first output of the transition that says `ready`. Each look is atomic. Callers that ask the same share
   * looks and the output, which is frozen.
   *
   * @throws {CoordinationError} `wait_timeout` when the time is over; `limit_exceeded`, retryable, when the object holds 10,000
   * waits.
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
   * Adds a waker, which acts when a record of the machine wakes. Returns a function that removes it.
   *
   * @throws {CoordinationError} `unsupported` where the backend delivers by itself; the message says where handlers belong.
   */
  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#backend.onWake(machine, wake);
  }

  /**
   * Adds `delta` (a safe integer, default 1) and returns the sum. A key that is not there counts as 0.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind; `limit_exceeded` when the sum would be no safe integer:
   * the number stays as it is.
   */
  async incr(key: string, delta = 1): Promise<number> {
    checkId(key, "key");
    checkInteger(delta, "delta", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    return numberFrom(await this.run("kv.incr", key, { ...this.#write(), delta }));
  }

  /**
   * The number under the key; 0 when unset.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  async getInt(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.getInt", key, {}));
  }

  /**
   * Makes the key, a flag, unless one of any kind exists; says whether it did. It lives for `ttlSec`: more than 0, at most a
   * year.
   */
  async setIfAbsent(key: string, ttlSec: number): Promise<boolean> {
    checkId(key, "key");
    const ttlMs = checkTtlSec(ttlSec, "ttlSec");
    return (await this.run("kv.setIfAbsent", key, { op: newOp(), ttlMs })).set;
  }

  /**
   * Adds to a set; returns how many were new. Up to 10,000 members a call, each of up to 2,048 bytes; without any it does
   * nothing.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind; `limit_exceeded` when the set would hold more than
   * 100,000: none is added.
   */
  async sadd(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.sadd", key, { ...this.#write(), members }));
  }

  /**
   * Takes from a set; returns how many were there. Up to 10,000 members a call, each of up to 2,048 bytes. A set that becomes
   * empty is gone.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  async srem(key: string, ...members: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(members, "members");
    return members.length === 0 ? 0 : numberFrom(await this.run("kv.srem", key, { ...this.#write(), members }));
  }

  /**
   * How many members the set has; 0 when unset.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind.
   */
  async scard(key: string): Promise<number> {
    checkId(key, "key");
    return numberFrom(await this.run("kv.scard", key, {}));
  }

  /**
   * Appends to a list; returns its length. 1 to 10,000 items a call, each of up to 2,048 bytes.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind; `limit_exceeded` when the list would hold more than
   * 10,000: none is appended.
   */
  async rpush(key: string, ...values: string[]): Promise<number> {
    checkId(key, "key");
    checkTexts(values, "values");
    if (values.length === 0) throw new CoordinationError("invalid_input", "values must hold at least one");
    return numberFrom(await this.run("kv.rpush", key, { ...this.#write(), values }));
  }

  /**
   * Returns the whole list, oldest first; an empty one when unset. One round trip a megabyte: a list only grows at its end, so
   * that its pages are the list as it is at the last of them.
   *
   * @throws {CoordinationError} `conflict` for a key of another kind, and for a list that was deleted and made anew ten times
   * while it was read.
   */
  async lrange(key: string): Promise<string[]> {
    checkId(key, "key");
    let values: string[] = [];
    let page: ListPage = {};
    for (let restarts = 0; restarts <= MAX_RESTARTS; ) {
      const { life, next: from = 0 } = page;
      page = await this.run("kv.lrange", key, life === undefined ? {} : { from, life });
      if (page.values === undefined) throw refusal(page.refused);
      // Pages of one life are one list: it only grows at its end.
      const goesOn = life === undefined || page.life === life;
      if (!goesOn) restarts++;
      values = goesOn ? values.concat(page.values) : page.values;
      if (page.next === undefined) return values;
    }
    const message = "the list was deleted and made anew while it was read";
    throw new CoordinationError("conflict", message, { retryable: true });
  }

  /**
   * Sets the TTL of a key of any kind, which later writes leave alone; false when there is no such key. `ttlSec` is more than
   * 0, at most a year.
   */
  async expire(key: string, ttlSec: number): Promise<boolean> {
    checkId(key, "key");
    return (await this.run("kv.expire", key, { ttlMs: checkTtlSec(ttlSec, "ttlSec") })).found;
  }

  /**
   * Removes up to 10,000 keys of any kind; returns how many were there. Runs once per key: not atomic over several. When one
   * of them fails, the call rejects with that, and `applied` is `"unknown"` if others are gone already. What remains of a
   * deleted key for a minute are the ids of its latest 1,000 operations, so that a late copy of one changes nothing.
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

  /** What every write of a raw key carries. */
  #write(): { op: string; ttlMs: number } {
    return { op: newOp(), ttlMs: Math.round(this.defaultTtlSec * 1000) };
  }
}

/** A coordinator whose due records wait for a drain: by a schedule, `drainEvery`, `drainRoutes` or an `AlarmClock`. */
export class DrainableCoordinator extends Coordinator implements Drainable {
  readonly #drain: Drainable["drain"];

  /** @throws {CoordinationError} `misconfigured` for a backend without `drain`, and what `Coordinator` throws. */
  constructor(backend: Backend & Drainable, options: CoordinatorOptions = {}) {
    super(backend, options);
    if (typeof backend.drain !== "function") {
      throw new CoordinationError("misconfigured", "backend.drain must be a function");
    }
    this.#drain = (drainOptions) => backend.drain(drainOptions);
  }

  /**
   * Wakes what is due, where no timer of the backend does. Safe to run anywhere, at any time, by many at once.
   *
   * @throws {CoordinationError} `invalid_input` for an option out of range; whatever `run` throws when the queue cannot be
   * read.
   */
  drain(options?: DrainOptions): Promise<DrainReport> {
    return this.#drain(options);
  }
}

/** Says whether a coordinator of any kind can be drained. */
export function isDrainable(coordinator: Coordinator): coordinator is DrainableCoordinator {
  return coordinator instanceof DrainableCoordinator;
}

function checkTexts(values: readonly string[], field: string): void {
  if (values.length > MAX_BATCH) {
    throw new CoordinationError("invalid_input", `${field} must hold at most ${MAX_BATCH}`);
  }
  for (const [i, value] of values.entries()) checkText(value, `${field}[${i}]`, MAX_ITEM_BYTES);
}

/** The failure of one call of several, others of which were applied. */
function inDoubt(error: unknown): unknown {
  return error instanceof CoordinationError ? withApplied(error, "unknown") : error;
}

function numberFrom(reply: KeyReply): number {
  if (reply.result === undefined) throw refusal(reply.refused);
  return Number(reply.result);
}

function refusal(refused: KeyReply["refused"]): CoordinationError {
  if (refused === "wrong_kind") return new CoordinationError("conflict", "the key holds another kind of value");
  if (refused === "out_of_range") {
    return new CoordinationError("limit_exceeded", "the sum would leave the range of safe integers");
  }
  return new CoordinationError("limit_exceeded", "the key holds as many entries as one may");
}
