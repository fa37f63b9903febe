import { CoordinationError } from "../../../errors.js";
import { PUT_OFF_MS } from "../../../runtime/drain.js";
import type { IndexCounts, ListQuery } from "../../../runtime/listing.js";
import { recordName } from "../../../runtime/placement.js";
import type { IndexAnswer, IndexMessage, ObjectMethods, ObjectReply, ShardAnswer, ShardCall } from "../protocol.js";
import type { ObjectAlarm } from "./alarm.js";

import { IndexLag } from "./index-lag.js";
import { IndexLoad } from "./index-load.js";
import { TELL_AFTER_MS } from "./index-news.js";
import { IndexShards, silent } from "./index-shards.js";
import { LineTable, MAX_BYTES } from "./line-table.js";
import { mergedCounts, mergedPage, type TimedPage } from "./merged-pages.js";
import { baseOf, MAX_SHARDS, othersOf, type ShardState, wayOf } from "./shard-map.js";

/** How often an index removes expired lines. A page leaves them out before that. */
const SWEEP_LINES_MS = 3_600_000;
/** A larger shard splits, before it is full. */
const LARGE_BYTES = MAX_BYTES / 2;

export interface ObjectIndexOptions {
  readonly storage: DurableObjectStorage;
  readonly alarm: ObjectAlarm;
  readonly now: () => number;
  /** Whether the object's class keeps an index. */
  readonly isIndexed: () => boolean;
  /** Returns the stub of a shard. */
  shard(keyPrefix: string, number: number): ObjectMethods;
  onFailure(error: unknown): void;
}

/**
 * A shard of the index of a key prefix, in an object that holds nothing else: the lines that the other objects send. Shard 0 is
 * the whole index while there is no other, and answers for all of them.
 */
export class ObjectIndex {
  readonly #options: ObjectIndexOptions;
  readonly #lines: LineTable;
  readonly #shards: IndexShards;
  readonly #load = new IndexLoad();
  readonly #lag = new IndexLag();

  constructor(options: ObjectIndexOptions) {
    const { storage, alarm, now, shard } = options;
    this.#options = options;
    this.#lines = new LineTable(storage);
    this.#shards = new IndexShards({ lines: this.#lines, alarm, now, shard });
  }

  /** Whether this object is an index. */
  get exists(): boolean {
    return this.#lines.exists;
  }

  /** Stores a line, or says which shard it belongs to. */
  async put(line: IndexMessage): Promise<IndexAnswer> {
    const { alarm, now } = this.#options;
    const { shard, sinceMs = line.sentAtMs - TELL_AFTER_MS } = line;
    let next = this.#wayOf(line);
    if (next === "move") {
      await this.#shards.settle();
      next = this.#wayOf(line);
    }
    const { state } = this.#lines;
    if (typeof next === "number") {
      if (shard === undefined) throw needsShards();
      // That shard does not know itself: a late call has ended it.
      if (next === line.from) this.#shards.beginAgain();
      return { shard: next, count: state === undefined ? 1 : baseOf(state) };
    }
    this.#lag.arrived(sinceMs, now());
    this.#measure(line.keyPrefix);
    this.#checkRoom(line);
    const sentAtMs = this.#lines.put(line);
    alarm.arm(now() + SWEEP_LINES_MS);
    return { sentAtMs, count: state === undefined ? 1 : baseOf(state) };
  }

  /** Returns a page, and as of when the index is complete. @throws {CoordinationError} `unsupported` without an index. */
  async page(query: ListQuery, shards: number): Promise<TimedPage> {
    const nowMs = this.#readAtMs();
    const pages = await this.#readAll(
      shards,
      () => ({ ...this.#lines.page(query, nowMs), asOfMs: this.#asOfMs(nowMs), readAtMs: nowMs - TELL_AFTER_MS }),
      (stub, count) => stub.listIndex(query, count),
    );
    return mergedPage(pages, query);
  }

  /** Returns the counts, and as of when. @throws {CoordinationError} `unsupported` without an index. */
  async counts(shards: number): Promise<IndexCounts> {
    const nowMs = this.#readAtMs();
    const counts = await this.#readAll<IndexCounts>(
      shards,
      () => ({ lists: this.#lines.counts(nowMs), asOfMs: this.#asOfMs(nowMs) }),
      (stub, count) => stub.countIndex(count),
    );
    return mergedCounts(counts);
  }

  /** Answers a call of another shard. */
  answer(call: ShardCall): ShardAnswer {
    const { alarm, now } = this.#options;
    const answer = this.#shards.answer(call);
    if (call.kind === "begin" || call.kind === "take") {
      this.#load.restart(now());
      alarm.arm(now() + SWEEP_LINES_MS);
    }
    return answer;
  }

  /** Moves lines to other shards, a step at a time. Removes expired lines. An index without lines ceases to exist. */
  async ring(): Promise<void> {
    const { alarm, now, onFailure } = this.#options;
    if (this.#shards.isBusy) {
      try {
        alarm.arm(now() + ((await this.#shards.work()) ?? SWEEP_LINES_MS));
        return;
      } catch (error) {
        alarm.arm(now() + PUT_OFF_MS);
        onFailure(error);
      }
    }
    await this.#sweep();
  }

  async #sweep(): Promise<void> {
    const { alarm, now } = this.#options;
    const nowMs = now();
    const left = this.#lines.sweep(nowMs);
    const { state } = this.#lines;
    if (left === "none" && state === undefined) {
      this.#lines.drop();
      return;
    }
    // The object answers calls between two alarms.
    alarm.arm(nowMs + (left === "more" ? 1 : SWEEP_LINES_MS));
    if (left === "none" && !this.#shards.isBusy) await this.#shards.end();
  }

  /** Reads this shard and those whose lines it would hold if there were only `shards`. */
  async #readAll<Part extends object>(
    shards: number,
    own: () => Part,
    other: (stub: ObjectMethods, shards: number) => ObjectReply | Promise<ObjectReply>,
  ): Promise<[Part, ...Part[]]> {
    const { state } = this.#lines;
    if (state === undefined) {
      // It has ended, and does not know which shards it would answer for.
      if (shards > 1) throw silent();
      return [own()];
    }
    const { number, count } = state;
    const ask = (each: number, of: number) =>
      this.#shards
        .ask<Part>(each, (stub) => other(stub, of))
        .catch((error) => {
          this.#shards.beginAgain();
          throw error;
        });
    // While the index doubles, a shard answers for the new one that takes half of its lines.
    const base = state.isDoubling ? count / 2 : baseOf(state);
    const halves = async () => Promise.all([own(), ...othersOf(number, base, count).map((half) => ask(half, count))]);
    const [mine, ...others] = await Promise.all([
      state.moved === undefined ? halves() : this.#shards.read(halves),
      ...othersOf(number, shards, base).map((each) => ask(each, base)),
    ]);
    return [mine[0] as Part, ...(mine.slice(1) as Part[]), ...others];
  }

  #wayOf(line: IndexMessage): "here" | "move" | number {
    const { state } = this.#lines;
    // The shard does not exist, or has ended: shard 0 knows how many there are.
    if (state === undefined) return (line.shard ?? 0) === 0 ? "here" : 0;
    const name = recordName(line.machine, line.id);
    return wayOf(state, {
      name,
      from: line.from,
      isHeld: () => this.#lines.has(name),
      isSealed: () => this.#shards.isSealed(name),
    });
  }

  /** An index that is full changes the lines that it has, and takes no others. */
  #checkRoom({ machine, id, line }: IndexMessage): void {
    const lines = this.#lines;
    if (line === undefined || lines.bytes < MAX_BYTES || lines.has(recordName(machine, id))) return;
    throw (lines.state?.count ?? 1) < MAX_SHARDS ? needsMoves() : isFull();
  }

  /** Has the index doubled when this shard has too many messages, or is too large. */
  #measure(keyPrefix: string | undefined): void {
    const { now } = this.#options;
    const first = keyPrefix === undefined ? undefined : { keyPrefix, number: 0, count: 1, isReceiving: false };
    const state: ShardState | undefined = this.#lines.state ?? first;
    if (state === undefined || state.count >= MAX_SHARDS || state.moved !== undefined || state.isReceiving) return;
    if (this.#load.count(now(), this.#lines.bytes >= LARGE_BYTES)) void this.#shards.askToGrow(state);
  }

  #asOfMs(nowMs: number): number {
    return this.#lag.asOfMs(nowMs, TELL_AFTER_MS);
  }

  #readAtMs(): number {
    const { now, isIndexed } = this.#options;
    if (!isIndexed()) throw noIndex();
    return now();
  }
}

export function noIndex(): CoordinationError {
  const text = "the objects keep no index: set index = true on their class, which needs its namespace";
  return new CoordinationError("unsupported", text);
}

function needsMoves(): CoordinationError {
  const text = "a shard of the index is full, and moves half of its lines to another one";
  return new CoordinationError("backend_unavailable", text, { retryable: true, applied: "no" });
}

function isFull(): CoordinationError {
  const text = "is full, and lists no further groups: use shorter TTLs, or several key prefixes";
  return new CoordinationError("limit_exceeded", `the index of this key prefix ${text}`);
}

/** The sender's version knows one shard. It tells the index again, perhaps by a later version. */
function needsShards(): CoordinationError {
  const text = "the index has several shards: the object needs a later version to tell it";
  return new CoordinationError("backend_unavailable", text, { retryable: true, applied: "no" });
}
