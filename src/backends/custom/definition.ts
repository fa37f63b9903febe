import type { RetryPolicy } from "../../lib/backoff.js";
import type { Clock } from "../../lib/clock.js";
import { type Duration, inMillis, inSeconds } from "../../lib/duration.js";
import { misconfigured } from "../../lib/misconfigured.js";
import { checkInteger, checkNumber, MAX_SEC } from "../../lib/validate.js";
import type { OnEvent } from "../../runtime/events.js";

/** One record as the store keeps it. */
export interface BackendRecord {
  /**
   * Changes with every write and is never used again, not even after the record is removed and created again. A counter that
   * restarts for a recreated record would accept a stale write. The library only compares versions.
   */
  readonly version: string;
  /** The text of the last `compareAndSet`, unchanged. */
  readonly data: string;
}

/** The record that `compareAndSet` stores in place of the current one. */
export interface NextRecord extends BackendRecord {
  /** A new version, never used before. A store that has its own versions (an ETag, a versionstamp) need not keep it. */
  readonly version: string;
  /** When the record expires, in milliseconds since 1970: the store should remove it then. Null: it does not expire. */
  readonly expiresAtMs: number | null;
  /** When the record must be woken, in milliseconds since 1970, for `due`. Null: never. */
  readonly wakeAtMs: number | null;
  /** The list that holds the record, for `list`, such as `completion:open` or `request:failed.dead`. Null: none. */
  readonly list: string | null;
  /** The record's place in its list, in milliseconds since 1970. Null: it is in no list. */
  readonly listedAtMs: number | null;
}

/** A record that must be woken, and when. */
export interface DueRecord {
  readonly name: string;
  readonly atMs: number;
}

/** Which records one page of `list` holds. */
export interface StoreListQuery {
  /** The names of the lists: at most 20. */
  readonly lists: readonly string[];
  /** The order of `listedAtMs`. Records of one instant are in the order of their names: descending with `newest`. */
  readonly order: "oldest" | "newest";
  /** Records with a later `listedAtMs` are left out. */
  readonly maxAtMs: number;
  /** Only records after this one, in the order of the page. Null: from the first. */
  readonly after: { readonly name: string; readonly atMs: number } | null;
  /** How many records at most. */
  readonly limit: number;
}

/** A record of a list, and its `listedAtMs`. */
export type ListedName = DueRecord;

/** Options that every store function receives as its last argument. */
export interface StoreCallOptions {
  /** Aborts when no caller waits for the answer any more. Pass it to `fetch`. The store may ignore it. */
  readonly signal: AbortSignal;
}

/**
 * A store of versioned texts, and how the coordinator uses it. An error that a function throws becomes
 * `backend_unavailable`, and is retried where a retry is safe. A `CoordinationError` of the store is passed on as it is.
 *
 * A name is 1 to 800 characters of printable ASCII without a space. Names are compared byte for byte: upper and lower
 * case differ. To share one table between several coordinators, add a prefix in these functions.
 */
export interface BackendDefinition {
  /** Returns the record that the last successful `compareAndSet` stored, or null. It must not read from a stale replica. */
  load(name: string, options: StoreCallOptions): Promise<BackendRecord | null>;
  /**
   * Stores `next` if the record still has this version, in one atomic step. With `version` null it stores only if there is no
   * such record. With `next` null it removes the record. Returns false when the version differed and no copy of this call
   * wrote anything. Throws when the store cannot tell.
   */
  compareAndSet(
    name: string,
    version: string | null,
    next: NextRecord | null,
    options: StoreCallOptions,
  ): Promise<boolean>;
  /**
   * Returns the time for all decisions, in milliseconds since 1970. Called with each `load`. Use the store's clock, so that all
   * machines use the same one. Default: each machine's own clock, so deadlines are as exact as these clocks agree.
   */
  now?(options: StoreCallOptions): number | Promise<number>;
  /**
   * Returns the `limit` records with the earliest wake time, earliest first, due or not. Adds `drain` to the coordinator. The
   * list may lag behind the records.
   */
  due?(limit: number, options: StoreCallOptions): Promise<readonly DueRecord[]>;
  /**
   * Moves the record to `atMs` in the list of `due`. Changes neither the record nor its version. Called for a record that a
   * drain cannot wake, such as one of a later library version. Without it, each process skips such a record for 30 seconds
   * and reads further entries of `due`.
   */
  putOff?(name: string, atMs: number, options: StoreCallOptions): Promise<unknown>;
  /**
   * Removes records that expired before `nowMs`, for stores without their own expiry. Called at the end of each `drain`. When
   * it fails, `onEvent` receives `drain_failed`, and the drain still returns its report.
   */
  sweep?(nowMs: number, options: StoreCallOptions): Promise<unknown>;
  /**
   * Returns one page of the records that `NextRecord.list` puts into these lists. Adds `list` to the trackers. Needs an index
   * on `list`, `listedAtMs` and the name. The page may lag behind the records.
   */
  list?(query: StoreListQuery, options: StoreCallOptions): Promise<readonly ListedName[]>;
  /**
   * Calls `ring` after each write of this record by any process, until the returned function is called. Extra or missing calls
   * are harmless: each wait also polls.
   */
  subscribe?(name: string, ring: () => void): () => void;

  /**
   * Whether other processes see the same store.
   *
   * @default true
   */
  readonly isDistributed?: boolean | undefined;
  /**
   * How long raw keys are kept after their last write, and ended groups after their end, in seconds. 0: raw keys do not
   * expire. At most a year.
   *
   * @default 3600
   */
  readonly ttlSec?: Duration | undefined;
  /** The deadline of groups that set none, in seconds; 0 for none. At most a year. */
  readonly completionTimeoutSec?: Duration | undefined;
  /**
   * How long an operation may take with all its attempts, in milliseconds: 1 to 600,000.
   *
   * @default 10_000
   */
  readonly callTimeoutMs?: Duration | undefined;
  /**
   * The largest `data` that the store accepts, in bytes of UTF-8. An operation that would make a record larger fails with
   * `limit_exceeded`. Each write loads and stores the whole record: larger records make each ack slower.
   *
   * @default 1,048,576: about 11,000 listed tasks, or 1,000,000 that are `indexed`
   */
  readonly maxRecordBytes?: number | undefined;
  /**
   * How an operation is retried after a compare-and-set conflict.
   *
   * @default 100 attempts, with pauses of at most 10 ms, doubling up to 500 ms
   */
  readonly contention?: RetryPolicy | undefined;
  /** Receives events. Errors that it throws are ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
  /** Runs timers, and gives the time when `now` is not defined. Default: the system's clock. */
  readonly clock?: Clock | undefined;
  /** Returns a number from 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

const NEEDED = ["load", "compareAndSet"] as const;
const OPTIONAL = ["now", "due", "putOff", "sweep", "list", "subscribe", "onEvent", "random"] as const;

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
  const { maxRecordBytes = 1, contention } = definition;
  checkNumber(inSeconds(definition.ttlSec, "ttlSec") ?? 0, "ttlSec", 0, MAX_SEC);
  const timeoutSec = inSeconds(definition.completionTimeoutSec, "completionTimeoutSec") ?? 0;
  checkNumber(timeoutSec, "completionTimeoutSec", 0, MAX_SEC);
  checkInteger(callTimeoutMsOf(definition), "callTimeoutMs", 1, 600_000);
  checkInteger(maxRecordBytes, "maxRecordBytes", 1, Number.MAX_SAFE_INTEGER);
  if (contention === undefined) return;
  checkInteger(contention.maxAttempts, "contention.maxAttempts", 1, 10_000);
  checkNumber(contention.baseDelayMs, "contention.baseDelayMs", 0, 60_000);
  checkNumber(contention.maxDelayMs, "contention.maxDelayMs", contention.baseDelayMs, 60_000);
}

/** Returns how long an operation may take, in milliseconds. */
export function callTimeoutMsOf({ callTimeoutMs }: BackendDefinition): number {
  return inMillis(callTimeoutMs, "callTimeoutMs") ?? 10_000;
}
