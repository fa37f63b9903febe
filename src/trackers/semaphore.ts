import type { Coordinator } from "../coordinator.js";
import { MAX_PERMITS } from "../core/semaphore.js";
import { CoordinationError } from "../errors.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger, checkNumber } from "../lib/validate.js";
import { emit, type OnEvent } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { MAX_WAIT_MS } from "./end-or-look.js";
import { briefly, checkLeaseSec, type Lease, whileHeld } from "./held-lease.js";
import { checkNamespace, keyText, smallId } from "./small-key.js";
import { takePermit } from "./take-permit.js";

/** Options of a `Mutex`. */
export interface MutexOptions {
  /**
   * How long a permit is held without a renewal, in seconds: 1 to 86,400.
   *
   * @default 30
   */
  readonly leaseSec?: Duration;
  /** Separates keys of different uses. 1 to 64 bytes. Default `"default"`; `"mutex"` for a `Mutex`. */
  readonly namespace?: string;
  readonly onEvent?: OnEvent | undefined;
}

/** Options of a `Semaphore`. */
export interface SemaphoreOptions extends MutexOptions {
  /** How many callers may hold a permit of one key: 1 to 256. */
  readonly permits: number;
}

/** Options of a call that waits for a permit. */
export interface AcquireOptions extends CallOptions {
  /**
   * How long to wait for a permit, in milliseconds: 0 to a day. 0: does not wait.
   *
   * @default 0 for `acquire`, 30_000 for `withPermit`
   */
  readonly waitMs?: Duration | undefined;
}

/** A permit. */
export interface Permit {
  /** Identifies the permit for `extend` and `release`. */
  readonly permitId: string;
  /** Grows with every permit of the key. A store that keeps the highest number can refuse writes of earlier holders. */
  readonly fencingToken: number;
  /** When the lease ends, by this machine's clock. The holder must have stopped by then. */
  readonly expiresAtMs: number;
}

/** A caller that holds a permit. */
export interface PermitHolder {
  readonly permitId: string;
  readonly fencingToken: number;
  /** Until its lease ends, in milliseconds. */
  readonly expiresInMs: number;
}

/** A caller in line. */
export interface PermitWaiter {
  /** The id of its permit, once it has one. */
  readonly permitId: string;
  /** A permit is free for it. The caller has not taken it yet. */
  readonly offered: boolean;
  /** How long ago the caller last looked, in milliseconds. A living caller looks every 15 seconds at least. */
  readonly silentMs: number;
}

/** The permits and the line of one key. */
export interface SemaphoreStatus {
  /** In the order of their grants. */
  readonly holders: readonly PermitHolder[];
  /** The first 100 in line, in their order. */
  readonly waiters: readonly PermitWaiter[];
  /** How many callers are in line. */
  readonly waiting: number;
  /** The token of the last permit; 0 before the first. */
  readonly lastFencingToken: number;
}

/** The argument of the work of `withPermit`. */
export interface PermitContext {
  /** Aborts when the lease is lost, and when the caller's signal aborts. */
  readonly signal: AbortSignal;
  readonly fencingToken: number;
}

const OPTIONS: Names<SemaphoreOptions> = { permits: true, leaseSec: true, namespace: true, onEvent: true };
const ACQUIRE: Names<AcquireOptions> = { waitMs: true, signal: true };
const DEFAULT_WAIT_MS = 30_000;

/** A permit, its record, and when its lease is over by `monotonicMs`. */
interface Granted {
  readonly permit: Permit;
  readonly id: string;
  readonly untilMs: number;
}

/**
 * Limits how many callers work at the same time, across all instances: at most `permits` for each key.
 *
 * Waiting callers are served in order. A waiter is notified of its turn; on Redis it also polls every 0.5 to 5 s. A permit
 * has a lease. A holder that crashed is replaced when its lease ends, and a waiter that crashed is skipped within 45 s. An
 * uncontended `acquire` takes one round trip, one that waits takes three or more.
 *
 * A **fencing token** protects what the permit protects. A holder may pause for longer than its lease, and then write
 * while another caller holds the permit. Send the token with each write, and have the store refuse a token below the
 * highest that it has seen.
 *
 * Does not promise mutual exclusion by itself: use the fencing token. On Redis a failover may lose the last writes, and
 * then a permit may be held twice. Tokens fall if the server's clock goes back by more than a day. Instances with
 * different `permits` may share a key: each obeys its own number, and a lower one revokes nothing.
 *
 * Limits of a key: 256 permits, 1,000 waiters. The ids of the last 64 permits that ended are remembered for a minute.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator, Semaphore } from "edge-coordinator";
 *
 * const models = new Semaphore(new MemoryCoordinator(), { permits: 5, leaseSec: 60 });
 * const answer = await models.withPermit("gpt", async ({ signal }) => {
 *   return (await fetch("https://model.example/", { signal })).text();
 * });
 * ```
 */
export class Semaphore {
  readonly #coordinator: Coordinator;
  readonly #permits: number;
  readonly #leaseMs: number;
  readonly #namespace: string;
  readonly #onEvent: OnEvent | undefined;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: SemaphoreOptions) {
    checkCoordinator(coordinator);
    checkOptions(options, OPTIONS);
    const { permits, namespace = "default", onEvent } = Object(options) as SemaphoreOptions;
    const leaseSec = checkLeaseSec(options?.leaseSec);
    checkInteger(permits, "permits", 1, MAX_PERMITS);
    checkNamespace(namespace);
    this.#coordinator = coordinator;
    this.#permits = permits;
    this.#leaseMs = Math.round(leaseSec * 1000);
    this.#namespace = namespace;
    this.#onEvent = onEvent;
  }

  /**
   * Returns a permit of the key, or null when none is free within `waitMs`. Release it, or it is held until its lease
   * ends. Prefer `withPermit`, which renews and releases it.
   *
   * When the call fails or its signal aborts, its place or permit is given back.
   *
   * @throws {CoordinationError} `invalid_input` for a key or an option out of range.
   */
  async acquire(key: string | readonly string[], options: AcquireOptions = {}): Promise<Permit | null> {
    const granted = await this.#acquire(key, options, 0);
    return granted === undefined ? null : granted.permit;
  }

  /**
   * Begins the permit's lease anew. Returns false when the lease has ended: the caller must stop.
   *
   * @throws {CoordinationError} `invalid_input` for a key or a `permitId` out of range.
   */
  async extend(key: string | readonly string[], permitId: string, options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    checkId(permitId, "permitId");
    return this.#extend(await this.#idOf(key), permitId, call);
  }

  /**
   * Gives the permit back. Returns false when its lease had ended. A repeated call returns the same for a minute.
   *
   * @throws {CoordinationError} `invalid_input` for a key or a `permitId` out of range.
   */
  async release(key: string | readonly string[], permitId: string, options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    checkId(permitId, "permitId");
    const input = { op: permitId };
    return (await this.#coordinator.run("semaphore.release", await this.#idOf(key), input, call)).released;
  }

  /**
   * Returns the callers that hold a permit of the key and those that wait, as of now. An unknown key has none. Does not
   * know `permits`: each caller has its own number. `release` with the `permitId` of a stuck holder frees its permit.
   *
   * @throws {CoordinationError} `invalid_input` for a key out of range.
   */
  async status(key: string | readonly string[], options: CallOptions = {}): Promise<SemaphoreStatus> {
    const call = callOptions(options);
    const { token, holders, waiters, waiting } = await this.#coordinator.run(
      "semaphore.status",
      await this.#idOf(key),
      {},
      call,
    );
    return {
      holders: holders.map((holder) => ({
        permitId: holder.op,
        fencingToken: holder.token,
        expiresInMs: holder.leftMs,
      })),
      waiters: waiters.map(({ op, ...waiter }) => ({ permitId: op, ...waiter })),
      waiting,
      lastFencingToken: token,
    };
  }

  /**
   * Calls `fn` with a permit of the key, and returns its value. Renews the permit at a third of its lease while `fn` runs,
   * and releases it afterwards. `fn` receives `{ signal, fencingToken }`. The signal aborts when the lease is lost, also
   * when the backend does not answer. Does not end `fn` itself: `fn` must heed the signal. An error of `fn` is thrown on.
   * Waits for the release for 10 seconds at most. If it fails, `onEvent` receives the error, and the lease ends by itself.
   *
   * Does not know that the caller holds a permit of the key already: a nested call waits like any other.
   *
   * @throws {CoordinationError} `wait_timeout`, retryable, when no permit is free within `waitMs` (default 30 s);
   * `invalid_input` for a key or an option out of range.
   */
  async withPermit<Value>(
    key: string | readonly string[],
    fn: (context: PermitContext) => Value | Promise<Value>,
    options: AcquireOptions = {},
  ): Promise<Value> {
    const granted = await this.#acquire(key, options, DEFAULT_WAIT_MS);
    if (granted === undefined) {
      throw new CoordinationError("wait_timeout", "no permit was free in time", { retryable: true });
    }
    const { permit, untilMs, id } = granted;
    const { permitId, fencingToken } = permit;
    const renew = (signal: AbortSignal): Promise<boolean> => this.#extend(id, permitId, { signal });
    try {
      const onLost: Lease["onLost"] = (reason) =>
        emit(this.#onEvent, { type: "lease_lost", machine: "semaphore", id: keyText(key), reason });
      const lease = { leaseMs: this.#leaseMs, untilMs, signal: options.signal, renew, onLost };
      return await whileHeld(lease, (signal) => fn({ signal, fencingToken }));
    } finally {
      await briefly(this.#giveBack(key, id, permitId));
    }
  }

  async #acquire(
    key: string | readonly string[],
    options: AcquireOptions,
    defaultMs: number,
  ): Promise<Granted | undefined> {
    checkOptions(options, ACQUIRE);
    const { signal } = options;
    const waitMs = inMillis(options.waitMs, "waitMs") ?? defaultMs;
    checkNumber(waitMs, "waitMs", 0, MAX_WAIT_MS);
    const [id, op] = [await this.#idOf(key), newOp()];
    let outcome: string | undefined;
    try {
      const call = { id, op, permits: this.#permits, leaseMs: this.#leaseMs, waitMs, signal };
      const answer = await takePermit(this.#coordinator, call);
      outcome = answer.outcome;
      if (answer.outcome !== "granted") return undefined;
      const { token = 0, leftMs = 0, sentAtMs, sentMonotonicMs } = answer;
      // The server counts the lease from a later instant, so the permit is never held for longer than its lease.
      const permit = { permitId: op, fencingToken: token, expiresAtMs: sentAtMs + leftMs };
      return { permit, id, untilMs: sentMonotonicMs + leftMs };
    } finally {
      // A place in line, or a permit whose answer was lost. A caller that aborts does not wait for it.
      const isPending = outcome !== "granted" && outcome !== "busy";
      const given = isPending ? this.#giveBack(key, id, op) : undefined;
      if (given !== undefined && signal?.aborted !== true) await briefly(given);
    }
  }

  async #extend(id: string, op: string, call: CallOptions): Promise<boolean> {
    const input = { op, leaseMs: this.#leaseMs };
    return (await this.#coordinator.run("semaphore.extend", id, input, call)).held;
  }

  /** When this fails, the permit's lease or the place in line ends by itself. */
  async #giveBack(key: string | readonly string[], id: string, op: string): Promise<void> {
    try {
      await this.#coordinator.run("semaphore.release", id, { op });
    } catch (error) {
      emit(this.#onEvent, { type: "followup_failed", transition: "semaphore.release", id: keyText(key), error });
    }
  }

  #idOf(key: string | readonly string[]): Promise<string> {
    return smallId(this.#namespace, key);
  }
}

/**
 * A lock: a `Semaphore` with one permit, renewed by `withPermit` while its work runs. A leader is a mutex that is renewed.
 * The promises and limits of `Semaphore` hold.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator, Mutex } from "edge-coordinator";
 *
 * const leader = new Mutex(new MemoryCoordinator(), { leaseSec: "1m" });
 * const permit = await leader.acquire("nightly-report");
 * if (permit !== null) {
 *   // this instance is the leader: send permit.fencingToken with each write
 *   await leader.release("nightly-report", permit.permitId);
 * }
 * ```
 */
export class Mutex extends Semaphore {
  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: MutexOptions = {}) {
    checkOptions(options, MUTEX_OPTIONS);
    super(coordinator, { namespace: "mutex", ...options, permits: 1 });
  }
}

const MUTEX_OPTIONS: Names<MutexOptions> = { leaseSec: true, namespace: true, onEvent: true };
