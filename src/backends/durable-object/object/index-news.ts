import type { Changes } from "../../../core/store.js";
import { CoordinationError } from "../../../errors.js";
import { fullJitterMs, type RetryPolicy } from "../../../lib/backoff.js";
import { systemClock } from "../../../lib/clock.js";
import { within } from "../../../runtime/deadline.js";
import { type BriefOutput, isListed } from "../../../runtime/listing.js";
import { partsOfRecord } from "../../../runtime/placement.js";
import type { IndexMessage } from "../protocol.js";
import type { SqliteRecords } from "./records.js";

/** How long an object waits before it tells the index. A group that ends within this time tells once. */
export const TELL_AFTER_MS = 5_000;
/** When it tells again after a failure, with jitter. An index that is full stays full for long. */
const TELL_AGAIN: RetryPolicy = { maxAttempts: Number.POSITIVE_INFINITY, baseDelayMs: 30_000, maxDelayMs: 3_600_000 };
/** How long the index may take. The object's alarm waits for it, and so do deadlines and callbacks. */
const ANSWER_MS = 5_000;
/** How long the index remembers that a record was removed. */
const REMOVED_MS = 3_600_000;

export interface IndexNewsOptions {
  readonly records: SqliteRecords;
  readonly now: () => number;
  /** Whether the object can reach an index. */
  isIndexed(): boolean;
  /** Runs `brief` on the object's own record. */
  brief(record: string): BriefOutput;
  /** Sends a line to the index. Returns when the line that the index has now was sent. */
  send(line: IndexMessage): Promise<number>;
  onFailure(error: unknown): void;
}

/** Whether a write changes what the index holds. */
export function isNews(record: string, { line, lineChanged, untilChanged, head }: Changes): boolean {
  if (head === undefined || !isListed(partsOfRecord(record).machine)) return false;
  return lineChanged || (line !== undefined && untilChanged);
}

/**
 * Tells the index of the object's record. The write that changes its line also stores a mark, so no crash loses the news. The
 * mark is removed when the index has the line as it is then.
 *
 * An object sends one line after another. Each carries its time, so that a late copy changes nothing.
 */
export class IndexNews {
  readonly #options: IndexNewsOptions;
  /** How often telling has failed in a row. An object that is loaded anew counts from 0. */
  #failures = 0;
  /** Two lines of one millisecond would have no order at the index: one is sent after another. */
  #sending: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: IndexNewsOptions) {
    this.#options = options;
  }

  /**
   * Sends the line, if the index waits for one. Joins what is being sent: if the record has changed since, the mark stays due.
   * So the object's alarm waits for one message. Never rejects.
   */
  tell(): Promise<void> {
    this.#sending ??= this.#tellOnce().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  /** Sends the line as it is now. However many calls wait for what is being sent, one message follows. Never rejects. */
  #tellNext(): Promise<void> {
    if (this.#sending === undefined) return this.tell();
    this.#next ??= this.#sending.then(() => {
      this.#next = undefined;
      return this.tell();
    });
    return this.#next;
  }

  async #tellOnce(): Promise<void> {
    const { records, now, isIndexed, onFailure } = this.#options;
    const record = records.marked;
    if (record === undefined) return;
    // An index that was turned off must not keep an object alive that has no record.
    if (!isIndexed() && records.untilOf(record) === undefined) {
      records.unmark();
      return;
    }
    const told = this.#lineOf(record);
    try {
      // If the object crashes meanwhile, the mark is still due: the platform repeats the alarm.
      await this.#send(told);
    } catch (error) {
      records.postponeMark(now() + this.#pauseMs(error));
      onFailure(error);
      return;
    }
    this.#failures = 0;
    if (isSame(this.#lineOf(record), told)) records.unmark();
    // The record has changed since it was told.
    else records.postponeMark(now() + TELL_AFTER_MS, told.sentAtMs);
  }

  /**
   * Tells the index of a record at once, whatever it has. If the index does not answer, the alarm tells it later. Returns false
   * for an unknown record.
   */
  async tellAgain(record: string, arm: (atMs: number) => void): Promise<boolean> {
    const { records, now } = this.#options;
    if (!records.exists || records.untilOf(record) === undefined) return false;
    const tellAtMs = now() + TELL_AFTER_MS;
    records.mark(record, tellAtMs, now());
    arm(tellAtMs);
    await this.#tellNext();
    return true;
  }

  /** Returns the pause after a failure: half of a bound that doubles, to all of it. The longest at once when the index is full. */
  #pauseMs(error: unknown): number {
    const isFull = error instanceof CoordinationError && error.code === "limit_exceeded";
    this.#failures = isFull ? Number.POSITIVE_INFINITY : this.#failures + 1;
    return fullJitterMs(TELL_AGAIN, this.#failures, 0.5 + Math.random() / 2);
  }

  /** Sends a line within the time that the index has. A line that arrives after it does no harm. */
  #send(told: IndexMessage): Promise<void> {
    const { send } = this.#options;
    return within({ limitMs: ANSWER_MS, signal: undefined, clock: systemClock }, noAnswer, async (signal) => {
      const heldMs = await send(told);
      // The index has a later line of this record, though one object sends them all in order: its clock was set back.
      if (heldMs > told.sentAtMs && !signal.aborted) await send({ ...told, sentAtMs: heldMs + 1 });
    });
  }

  /** A record that is gone has no line: the index may list it still, because an earlier message has failed. */
  #lineOf(record: string): IndexMessage {
    const { records, now, brief: read } = this.#options;
    const untilMs = records.untilOf(record);
    const { brief, line }: BriefOutput = untilMs === undefined ? {} : read(record);
    const { machine: name, id } = partsOfRecord(record);
    const machine = name as IndexMessage["machine"];
    const sentAtMs = now();
    const sinceMs = records.markedAtMs;
    if (untilMs === undefined || line === undefined || brief === undefined) {
      return { machine, id, untilMs: sentAtMs + REMOVED_MS, sentAtMs, sinceMs };
    }
    return { machine, id, line, untilMs, sentAtMs, sinceMs, brief };
  }
}

function noAnswer(): CoordinationError {
  const text = `the index did not answer within ${ANSWER_MS / 1_000} s`;
  return new CoordinationError("backend_unavailable", text, { retryable: true, applied: "unknown" });
}

/** Whether the index would hold the same line. */
function isSame(a: IndexMessage, b: IndexMessage): boolean {
  if (a.line === undefined || b.line === undefined) return a.line === b.line;
  return a.line.list === b.line.list && a.line.atMs === b.line.atMs && a.untilMs === b.untilMs;
}
