import { CoordinationError } from "../../../errors.js";
import type { IndexCounts, ListQuery } from "../../../runtime/listing.js";
import type { IndexHolds, IndexMessage } from "../protocol.js";
import type { ObjectAlarm } from "./alarm.js";
import { TELL_AFTER_MS } from "./index-news.js";
import { LineTable } from "./line-table.js";

/** How often an index removes expired lines. A page leaves them out before that. */
const SWEEP_LINES_MS = 3_600_000;

export interface ObjectIndexOptions {
  readonly storage: DurableObjectStorage;
  readonly alarm: ObjectAlarm;
  readonly now: () => number;
  /** Whether the object's class keeps an index. */
  readonly isIndexed: () => boolean;
}

/** The index of a key prefix, in an object that holds nothing else: the lines that the other objects send. */
export class ObjectIndex {
  readonly #options: ObjectIndexOptions;
  readonly #lines: LineTable;

  constructor(options: ObjectIndexOptions) {
    this.#options = options;
    this.#lines = new LineTable(options.storage);
  }

  /** Whether this object is an index. */
  get exists(): boolean {
    return this.#lines.exists;
  }

  put(line: IndexMessage): IndexHolds {
    const { alarm, now } = this.#options;
    const sentAtMs = this.#lines.put(line);
    alarm.arm(now() + SWEEP_LINES_MS);
    return { sentAtMs };
  }

  /** Returns a page, and as of when the index is complete. @throws {CoordinationError} `unsupported` without an index. */
  page(query: ListQuery) {
    const nowMs = this.#readAtMs();
    return { ...this.#lines.page(query, nowMs), asOfMs: nowMs - TELL_AFTER_MS };
  }

  /** Returns the counts, and as of when. @throws {CoordinationError} `unsupported` without an index. */
  counts(): IndexCounts {
    const nowMs = this.#readAtMs();
    return { lists: this.#lines.counts(nowMs), asOfMs: nowMs - TELL_AFTER_MS };
  }

  #readAtMs(): number {
    const { now, isIndexed } = this.#options;
    if (!isIndexed()) throw noIndex();
    return now();
  }

  /** Removes expired lines. An index without lines ceases to exist. */
  sweep(): void {
    const { alarm, now } = this.#options;
    const nowMs = now();
    const left = this.#lines.sweep(nowMs);
    if (left === "none") this.#lines.drop();
    // The object answers calls between two alarms.
    else alarm.arm(nowMs + (left === "more" ? 1 : SWEEP_LINES_MS));
  }
}

export function noIndex(): CoordinationError {
  const text = "the objects keep no index: set index = true on their class, which needs its namespace";
  return new CoordinationError("unsupported", text);
}
