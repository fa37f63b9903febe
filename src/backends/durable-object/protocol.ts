import type { Brief } from "../../core/group/brief.js";
import type { TransitionName } from "../../core/registry.js";
import type { IndexLine } from "../../core/store.js";
import type { CoordinationErrorCode } from "../../errors.js";
import type { FoundLine, ListedMachine, ListQuery } from "../../runtime/listing.js";

/** The tag in the name of the object that is a key prefix's index. No record's place has it: a place names its machine. */
export const INDEX_TAG = "{index}";

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
  readonly brief?: Brief;
}

/** The index answers a message with this. */
export interface IndexHolds {
  /** When the line that the index has now was sent. */
  readonly sentAtMs: number;
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
   * Stores a line, in the object that is the index. Returns `IndexHolds`, or `limit_exceeded` when the index is full. Only
   * objects call it.
   *
   * @internal
   */
  indexLine(line: IndexMessage): ObjectReply | Promise<ObjectReply>;
  /** Returns an `IndexPage` and its time, from the object that is the index. */
  listIndex(query: ListQuery): ObjectReply | Promise<ObjectReply>;
  /** Tells the index of the object's record again. Returns `Reindexed`, or `unsupported` without an index. */
  reindex(machine: ListedMachine, id: string): ObjectReply | Promise<ObjectReply>;
  /**
   * Returns `IndexCounts`, from the object that is the index: of the open groups, and of the ended ones that owe a delivery.
   * Counts at most 1,000 of each list.
   */
  countIndex(): ObjectReply | Promise<ObjectReply>;
  /** Ends the wait with this ticket, after its client has disconnected. */
  leave(ticket: string): void | Promise<void>;
}
