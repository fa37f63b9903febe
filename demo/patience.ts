import { setTimeout as pause } from "node:timers/promises";
import { CoordinationError } from "../src/index.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export interface PatienceOptions {
  readonly patienceMs?: number;
  /** Ends the patience, not the call that is under way. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a call until it gets an answer: the server may be away for a while. Only for calls that may land twice, as
 * registrations, acks and waits may.
 */
export async function withPatience<T>(call: () => Promise<T>, options: PatienceOptions = {}): Promise<T> {
  const { patienceMs = 60_000, signal } = options;
  const untilMs = Date.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await call();
    } catch (error) {
      const isPassing = error instanceof CoordinationError && error.retryable;
      if (!isPassing || signal?.aborted || Date.now() >= untilMs) throw error;
      await pause(Math.max(pauseMs * (0.5 + Math.random() / 2), error.retryAfterMs ?? 0));
    }
  }
}
