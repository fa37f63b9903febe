import type { CoordinationError } from "../errors.js";
import type { Watched } from "./backend.js";
import type { Polling } from "./wait-pauses.js";

/** The record that a loop reads, and its notifications. */
export interface WaitSource {
  /**
   * Reads once (a look). The signal aborts when the answer is no longer needed. A source in this process answers
   * synchronously, without a signal.
   */
  look(signal: AbortSignal | undefined): Watched | Promise<Watched>;
  /** Starts notifications of writes by other processes. `undefined`: not possible now; the loop tries again later. */
  readonly listen?: ((loop: Notified) => Listening | undefined) | undefined;
  /** Returns the output that a notification carries, if it is the one that this loop waits for. */
  readonly read?: ((message: string) => Watched | undefined) | undefined;
  /** How often to look in addition. Without it the loop looks when notified, and at the instant that the output names. */
  readonly polling?: Polling | undefined;
  /** Listening begins with a look, as a long poll does. */
  readonly looksByListening?: boolean | undefined;
}

/** The part of a loop that a source calls. */
export interface Notified {
  /** The latest timeout of all waiters. */
  readonly endsAtMs: number;
  /** The record may have changed. `message`: a notification of a write arrived, with its text if it has one. */
  notify(message?: { readonly text: string | undefined }): void;
  /** The source's own look begins. `heard` follows with its output. */
  begins(): void;
  /** The source's own look has ended. `undefined`: there is nothing new. */
  heard(output: Watched | undefined): void;
  /** Ends every wait with the error, unless it is retryable. */
  failed(error: unknown): error is CoordinationError;
}

/** A subscription or a long poll. */
export interface Listening {
  /** Whether notifications arrive, as far as the source can know. */
  isLive(): boolean;
  leave(): void;
}
