import { setTimeout } from "node:timers/promises";
import { CoordinationError } from "../src/index.js";
import type { Status, Subject } from "./subject.js";
import { printable } from "./text/printable.js";

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Receives a line about each fault. */
  readonly note: (text: string) => void;
  /** Waits; rejects when the signal aborts. @default a timer */
  readonly sleep?: (ms: number) => Promise<unknown>;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Yields each newer status, the end last. After a fault that may pass it continues from the last version, after a pause that
 * doubles from 0.5 s to 10 s. The coordinators' own waits last through most faults already.
 */
export async function* follow(
  subject: Pick<Subject, "progress">,
  { signal, note, sleep = (ms) => setTimeout(ms, undefined, { signal }) }: FollowOptions,
): AsyncGenerator<Status, void> {
  let version: string | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      for await (const status of subject.progress(version)) {
        version = status.version;
        pauseMs = FIRST_PAUSE_MS;
        yield status;
      }
      return;
    } catch (error) {
      if (!(error instanceof CoordinationError && error.retryable)) throw error;
      note(`${printable(error.message)}: trying again`);
    }
    await sleep(pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
