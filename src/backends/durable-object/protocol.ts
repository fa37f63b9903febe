import type { Brief } from "../../core/group/brief.js";
import type { TransitionName } from "../../core/registry.js";
import type { IndexLine } from "../../core/store.js";
import type { CoordinationErrorCode } from "../../errors.js";
import type { FoundLine, ListedMachine, ListQuery } from "../../runtime/listing.js";

/** The tag in the name of the object that is a key prefix's index. No record's place has it: a place names its machine. */
export const INDEX_TAG = "{index}";

/** Returns the tag of a shard of the index. Shard 0 is the index that callers know. */
export function indexTag(shard: number): string {
  return shard === 0 ? INDEX_TAG : `${INDEX_TAG}${shard}`;
}

/** The object's reply. Errors are values: an error that is thrown over RPC loses its class and its fields. */
export type ObjectReply =
  | { readonly ok: true; readonly output: object }
  | {
      readonly ok: false;
      readonly code: CoordinationErrorCode;
      readonly message: string;
      readonly retryable: boolean;
      /** True: the call was not run, because earlier answers filled the reply. */
      readonly noRoom?: boolean;
    };

/** The object's reply to a wait: the reply itself, or `isTaken` when `take` was called with it. */
export type WatchReply = ObjectReply | { readonly ok: true; readonly isTaken: true };

/** Arguments of a wait that come from the client. */
export interface WatchClient {
  /** Names the wait, for `leave`. */
  readonly ticket: string;
  /** Receives a large reply. The object waits until this call ends, so that it sends few large replies at once. */
  take(reply: ObjectReply): void | Promise<void>;
}

/** One operation, as it is sent to the object. */
export interface ObjectCall {
  readonly transition: TransitionName;
  readonly id: string;
  readonly input: unknown;
}

/** The message of an object to the index, about its record. */
export interface IndexMessage {
  readonly machine: ListedMachine;
  readonly id: string;
  /** Absent: the record was removed. */
  readonly line?: IndexLine;
  /** When the line expires, in milliseconds since 1970. */
  readonly untilMs: number;
  /** The index keeps the line that was sent last. */
  readonly sentAtMs: number;
  /** The instant of the oldest change that this message tells. Earlier versions do not say it. */
  readonly sinceMs?: number | undefined;
  readonly brief?: Brief;
  /** The shard that receives the message. Absent: the sender's version knows one shard. */
  readonly shard?: number;
  /** The shard that sent the message on. */
  readonly from?: number | undefined;
  /** The key prefix of the index. An object that its alarm started does not know its own name. */
  readonly keyPrefix?: string;
}

/** A shard answers a message with this. `count` says how many shards the index has, as far as the shard knows. */
export type IndexAnswer =
  /** It holds the line that was sent at this time, or has stored it. */
  | { readonly sentAtMs: number; readonly shard?: undefined; readonly count: number }
  /** It holds no line of the record: send the message to this shard. */
  | { readonly shard: number; readonly count: number };

/** A row of the table of lines, as one shard hands it to another. */
export interface LineRow extends Record<string, string | number> {
  readonly name: string;
  readonly list: number;
  readonly at: number;
  readonly until: number;
  readonly sent: number;
  readonly brief: string;
}

/** A call of one shard of an index to another. Each may be repeated. */
export type ShardCall =
  /** Be this shard, of so many. A shard that had fewer beside it splits. */
  | {
      readonly kind: "begin";
      readonly keyPrefix: string;
      readonly number: number;
      readonly count: number;
      /** Whether another shard still holds lines of this one. */
      readonly isReceiving: boolean;
    }
  /** Store these lines: they were another shard's. `isLast`: no more follow. */
  | { readonly kind: "take"; readonly lines: readonly LineRow[]; readonly isLast: boolean }
  /** To shard 0: double the number of shards, if it is still this one. */
  | { readonly kind: "grow"; readonly count: number }
  /** End, if no line is left. */
  | { readonly kind: "close" };

/** A shard answers a call with this. */
export interface ShardAnswer {
  /** Whether all of its lines are where they belong, and it expects no others. */
  readonly isDone: boolean;
  /** Whether it has no line. `close` has then ended it. */
  readonly isEmpty: boolean;
}

/** The answer to a call of `reindex`. */
export interface Reindexed {
  /** Whether the object has the record. */
  readonly found: boolean;
}

/** The lines of one page of the index, each with the record as it was when its object told the index. */
export interface IndexPage {
  readonly lines: readonly (FoundLine & { readonly brief: Brief })[];
  readonly isCut: boolean;
}

/** The methods of a `CoordinatorObject` that clients call. */
export interface ObjectMethods {
  /** Runs one public transition. */
  run(transition: string, id: string, input: unknown): ObjectReply | Promise<ObjectReply>;
  /** Runs several transitions in their order, each atomic and with its own reply. Stops after some MB of answers. */
  runMany(calls: readonly ObjectCall[]): ObjectReply[] | Promise<ObjectReply[]>;
  /** Waits until the transition's output is `ready`. After `timeoutMs` it returns the last output. */
  watch(transition: string, id: string, input: unknown, timeoutMs: number, client?: WatchClient): Promise<WatchReply>;
  /**
   * Stores a line, in an object that is a shard of the index. Returns `IndexAnswer`, or `limit_exceeded` when the index is
   * full. Only objects call it.
   *
   * @internal
   */
  indexLine(line: IndexMessage): ObjectReply | Promise<ObjectReply>;
  /** Makes a call of one shard to another. Returns `ShardAnswer`. @internal */
  indexShard(call: ShardCall): ObjectReply | Promise<ObjectReply>;
  /**
   * Returns an `IndexPage` and its time, from the object that is the index. With `shards` it is of the lines that the shard
   * would hold if there were so many. Only objects send `shards`.
   */
  listIndex(query: ListQuery, shards?: number): ObjectReply | Promise<ObjectReply>;
  /** Tells the index of the object's record again. Returns `Reindexed`, or `unsupported` without an index. */
  reindex(machine: ListedMachine, id: string): ObjectReply | Promise<ObjectReply>;
  /**
   * Returns `IndexCounts`, from the object that is the index: of the open groups, and of the ended ones that owe a delivery.
   * Counts at most 1,000 of each list. `shards` as in `listIndex`.
   */
  countIndex(shards?: number): ObjectReply | Promise<ObjectReply>;
  /** Ends the wait with this ticket, after its client has disconnected. */
  leave(ticket: string): void | Promise<void>;
}
