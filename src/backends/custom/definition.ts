import { CoordinationError } from "../../errors.js";
import type { RetryPolicy } from "../../lib/backoff.js";
import type { Clock } from "../../lib/clock.js";
import { checkInteger, checkNumber, MAX_SEC } from "../../lib/validate.js";
import type { OnEvent } from "../../runtime/events.js";

/** One record as a store keeps it. */
export interface BackendRecord {
  /**
   * Changes with every write, and never comes back, not even when the record is removed and made again: a counter that
   * starts anew with each life of a record would let an old write through. Never read, only compared.
   */
  readonly version: string;
  /** The text of the last `compareAndSet`, unchanged. */
  readonly data: string;
}

/** What `compareAndSet` is to store in place of what is there. */
export interface NextRecord extends BackendRecord {
  /** A fresh one, never used before. A store that counts its own versions (an ETag, a versionstamp) need not keep it. */
  readonly version: string;
  /** From this instant on (milliseconds since 1970) nobody misses the record, and the store should remove it; null: it stays. */
  readonly expiresAtMs: number | null;
  /** When it wants to be woken, for `due`; null for never. */
  readonly wakeAtMs: number | null;
}

/** A record that wants to be woken. */
export interface DueRecord {
  readonly name: string;
  readonly atMs: number;
}

/** What each call of a store is given last. */
export interface StoreCallOptions {
  /** Aborts when nobody waits for the answer any more: for a `fetch`. It need not be heeded. */
  readonly signal: AbortSignal;
}

/**
 * A store of versioned texts, and how it is used. What its functions throw is `backend_unavailable`, and tried again
 * where that is harmless, unless it is a `CoordinationError` of their own.
 *
 * A name is 1 to 800 characters of printable ASCII without a space. Names are compared byte for byte: upper and lower
 * case differ. A prefix, for several coordinators in one table, is the functions' own affair.
 */
export interface BackendDefinition {
  /** The record as the last successful `compareAndSet` left it (never a replica's older one), or null. */
  load(name: string, options: StoreCallOptions): Promise<BackendRecord | null>;
  /**
   * Stores `next` if the record still has this version, in one atomic step; `version` null: if there is no such record;
   * `next` null: removes it. False: it was another version, and nothing was written, however often this call was sent.
   * Whoever cannot tell must throw.
   */
  compareAndSet(
    name: string,
    version: string | null,
    next: NextRecord | null,
    options: StoreCallOptions,
  ): Promise<boolean>;
  /**
   * The clock that decides, in milliseconds since 1970; asked beside each `load`. Give the store's own, so that one clock
   * decides for all. Default: the clock of each machine, and deadlines are as exact as those agree.
   */
  now?(options: StoreCallOptions): number | Promise<number>;
  /**
   * The `limit` records that want to be woken first, the earliest first, whether or not their time has come. With it the
   * coordinator has `drain`. It may lag behind the records.
   */
  due?(limit: number, options: StoreCallOptions): Promise<readonly DueRecord[]>;
  /**
   * Has `due` list the record at `atMs`, and changes nothing else of it, its version neither: for a record that a drain cannot wake,
   * such as one of a later version. Without it each process passes such records by for half a minute, and reads `due` further.
   */
  putOff?(name: string, atMs: number, options: StoreCallOptions): Promise<unknown>;
  /**
   * Removes what expired before `nowMs`, for stores that do not do so by themselves. Called at the end of each `drain`; when
   * it fails, `onEvent` hears `drain_failed`, and the drain reports what it has woken.
   */
  sweep?(nowMs: number, options: StoreCallOptions): Promise<unknown>;
  /**
   * Has `ring` called after writes of this record by anybody, until the returned function is called. A ring too many or
   * too few does no harm: each wait also looks from time to time.
   */
  subscribe?(name: string, ring: () => void): () => void;

  /** Whether other processes see the same store. Default true. */
  readonly isDistributed?: boolean | undefined;
  /**
   * How long raw keys outlive their last write, and ended groups their end, in seconds; 0: raw keys stay. At most a year,
   * default 3600.
   */
  readonly ttlSec?: number | undefined;
  /** The deadline of groups that give none, in seconds; 0 for none. At most a year. */
  readonly completionTimeoutSec?: number | undefined;
  /** How long an operation may take with all its attempts, in milliseconds. 1 to 600,000, default 10,000. */
  readonly callTimeoutMs?: number | undefined;
  /**
   * The longest `data` that the store takes, in bytes of UTF-8. What would make a record longer is `limit_exceeded`. Each write
   * loads and stores the whole record: a larger bound takes larger groups, and makes each ack of such a group cost more.
   *
   * @default 1,048,576: some 20,000 listed tasks, or 1,000,000 that are `indexed`
   */
  readonly maxRecordBytes?: number | undefined;
  /**
   * How an operation is repeated when others were first. Default: 100 attempts, pauses of at most 10 ms, doubling up to
   * 500 ms.
   */
  readonly contention?: RetryPolicy | undefined;
  /** Receives events; what it throws is ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
  /** For timers, and for the time where `now` is not given. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

const NEEDED = ["load", "compareAndSet"] as const;
const OPTIONAL = ["now", "due", "putOff", "sweep", "subscribe", "onEvent", "random"] as const;

/** @throws {CoordinationError} `misconfigured` for a function that is missing, `invalid_input` for a number out of range. */
export function checkDefinition(definition: BackendDefinition): void {
  for (const name of NEEDED) {
    if (typeof definition?.[name] !== "function") throw misconfigured(`${name} must be a function`);
  }
  for (const name of OPTIONAL) {
    if (definition[name] !== undefined && typeof definition[name] !== "function") {
      throw misconfigured(`${name} must be a function, or left out`);
    }
  }
  for (const name of ["sweep", "putOff"] as const) {
    if (definition[name] !== undefined && definition.due === undefined) {
      throw misconfigured(`${name} needs due: drain calls it`);
    }
  }
  const { ttlSec = 0, completionTimeoutSec = 0, callTimeoutMs = 1, maxRecordBytes = 1, contention } = definition;
  checkNumber(ttlSec, "ttlSec", 0, MAX_SEC);
  checkNumber(completionTimeoutSec, "completionTimeoutSec", 0, MAX_SEC);
  checkInteger(callTimeoutMs, "callTimeoutMs", 1, 600_000);
  checkInteger(maxRecordBytes, "maxRecordBytes", 1, Number.MAX_SAFE_INTEGER);
  if (contention === undefined) return;
  checkInteger(contention.maxAttempts, "contention.maxAttempts", 1, 10_000);
  checkNumber(contention.baseDelayMs, "contention.baseDelayMs", 0, 60_000);
  checkNumber(contention.maxDelayMs, "contention.maxDelayMs", contention.baseDelayMs, 60_000);
}

function misconfigured(message: string): CoordinationError {
  return new CoordinationError("misconfigured", message);
}
