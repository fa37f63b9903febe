import type { TransitionName } from "../../core/registry.js";
import type { CoordinationErrorCode } from "../../errors.js";

/** The longest that one call waits inside the object. */
export const MAX_HOP_MS = 25_000;

/** What the object answers. Errors travel as values: one that is thrown over RPC loses its class and its fields. */
export type ObjectReply =
  | { readonly ok: true; readonly output: object }
  | {
      readonly ok: false;
      readonly code: CoordinationErrorCode;
      readonly message: string;
      readonly retryable: boolean;
      /** The call was not run: the answers to the calls before it took all the room. */
      readonly noRoom?: boolean;
    };

/** What the object answers to a wait: the reply, or that `take` was called with it. */
export type WatchReply = ObjectReply | { readonly ok: true; readonly isTaken: true };

/** What a client gives along with a wait. */
export interface WatchClient {
  /** Names the wait, for `leave`. */
  readonly ticket: string;
  /** Takes a large reply. The object waits for it, so that few of them are on their way at once. */
  take(reply: ObjectReply): void | Promise<void>;
}

/** One operation, as it travels to the object. */
export interface ObjectCall {
  readonly transition: TransitionName;
  readonly id: string;
  readonly input: unknown;
}

/** The methods of a `CoordinatorObject` that are called from outside. */
export interface ObjectMethods {
  /** Runs one public transition. */
  run(transition: string, id: string, input: unknown): ObjectReply | Promise<ObjectReply>;
  /** Runs several, in their order, each by itself and with a reply of its own. Stops at some MB of answers. */
  runMany(calls: readonly ObjectCall[]): ObjectReply[] | Promise<ObjectReply[]>;
  /** Waits until the transition's output is `ready`, or for `timeoutMs`: then the last output comes as it is. */
  watch(transition: string, id: string, input: unknown, timeoutMs: number, client?: WatchClient): Promise<WatchReply>;
  /** Ends the wait that has this ticket: its client has gone. */
  leave(ticket: string): void | Promise<void>;
}
