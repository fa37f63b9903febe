import type { Coordinator } from "../coordinator.js";
import type { Counts } from "../core/stats.js";
import { CoordinationError } from "../errors.js";
import type { Duration } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger, checkTtlSec } from "../lib/validate.js";
import { joinParts, shardOf } from "../runtime/placement.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { ttlSecOf } from "./default-ttl.js";
import { checkNamespace } from "./small-key.js";

/** Options of a `RequestStatsAccumulator`. */
export interface StatsOptions {
  /** How many ids are tracked at most: 1 to 64,000. Beyond, the id with the oldest last merge is dropped. Default 1,000. */
  readonly maxTracked?: number;
  /** How long an id is tracked after its last merge, in seconds. Default: the coordinator's `ttlSec`, else 3,600. */
  readonly ttlSec?: Duration;
}

/** The counts of one id. */
export interface Stats {
  readonly processed: number;
  readonly requeueCount: number;
  readonly errorCount: number;
}

const TRACKER_OPTIONS: Names<StatsOptions> = { maxTracked: true, ttlSec: true };
const COUNTS: Names<Stats> = { processed: true, requeueCount: true, errorCount: true };
const DEFAULT_MAX_TRACKED = 1_000;
const MAX_ADDED = 1_000_000_000;
/** How many ids one shard holds. Up to twice as many stay in one record; more are spread over several shards. */
const IDS_PER_SHARD = 1_000;
const MAX_SHARDS = 64;

/**
 * Adds up counts of many workers for one id, for one consumer: processed, requeued, failed.
 *
 * The counts of an id expire together. A call that is sent again counts once (calls of the last minute are remembered). Of
 * several consumers, one gets the counts. Up to 1,999 tracked ids share one record, which makes `maxTracked` exact. More ids
 * are spread over shards, each with an equal share of `maxTracked`.
 *
 * @example
 * ```ts
 * import { MemoryCoordinator, RequestStatsAccumulator } from "edge-coordinator";
 *
 * const stats = new RequestStatsAccumulator(new MemoryCoordinator(), "embedding", { maxTracked: 500 });
 * await stats.merge("request-1", { processed: 3 });
 * await stats.merge("request-1", { processed: 1, errorCount: 1 });
 * await stats.consume("request-1"); // { processed: 4, requeueCount: 0, errorCount: 1 }
 * await stats.consume("request-1"); // null
 * ```
 */
export class RequestStatsAccumulator {
  readonly #coordinator: Coordinator;
  readonly #namespace: string;
  readonly #shards: number;
  readonly #maxTracked: number;
  readonly #ttlMs: number;

  /**
   * @param namespace 1 to 64 bytes: accumulators of one namespace share their ids. They must agree on `maxTracked`, which
   * decides how the ids are spread.
   * @throws {CoordinationError} `invalid_input` for an argument out of range, `misconfigured` without a coordinator.
   */
  constructor(coordinator: Coordinator, namespace: string, options: StatsOptions = {}) {
    checkCoordinator(coordinator);
    checkOptions(options, TRACKER_OPTIONS);
    checkNamespace(namespace);
    const { maxTracked = DEFAULT_MAX_TRACKED, ttlSec = ttlSecOf(coordinator) } = options;
    checkInteger(maxTracked, "maxTracked", 1, MAX_SHARDS * IDS_PER_SHARD);
    this.#coordinator = coordinator;
    this.#namespace = namespace;
    this.#shards = Math.max(1, Math.floor(maxTracked / IDS_PER_SHARD));
    this.#maxTracked = Math.floor(maxTracked / this.#shards);
    this.#ttlMs = checkTtlSec(ttlSec, "ttlSec");
  }

  /**
   * Adds to an id's counts: whole numbers from 0 to 10⁹, default 0.
   *
   * @throws {CoordinationError} `limit_exceeded` when a sum would exceed 10¹².
   */
  async merge(id: string, counts: Partial<Stats>, options: CallOptions = {}): Promise<void> {
    checkOptions(counts, COUNTS, "counts");
    const call = callOptions(options);
    const { processed = 0, requeueCount = 0, errorCount = 0 } = counts;
    for (const [field, value] of Object.entries({ processed, requeueCount, errorCount })) {
      checkInteger(value, field, 0, MAX_ADDED);
    }
    checkId(id, "id");
    const input = {
      op: newOp(),
      id,
      processed,
      requeueCount,
      errorCount,
      maxTracked: this.#maxTracked,
      ttlMs: this.#ttlMs,
    };
    const { merged } = await this.#coordinator.run("stats.merge", this.#record(id), input, call);
    if (!merged) throw new CoordinationError("limit_exceeded", "a count would exceed 10^12");
  }

  /** Returns an id's counts and removes them: the first consumer gets them. Null when there are none, or they have expired. */
  async consume(id: string, options: CallOptions = {}): Promise<Stats | null> {
    checkId(id, "id");
    const { counts } = await this.#coordinator.run(
      "stats.consume",
      this.#record(id),
      { op: newOp(), id },
      callOptions(options),
    );
    return counts === undefined ? null : statsOf(counts);
  }

  #record(id: string): string {
    return joinParts([this.#namespace, String(shardOf(id, this.#shards))]);
  }
}

function statsOf({ processed, requeueCount, errorCount }: Counts): Stats {
  return { processed, requeueCount, errorCount };
}
