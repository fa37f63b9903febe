import { CoordinationError } from "../../errors.js";
import type { Bench } from "../harness.js";

const TRIES = 5;

/**
 * Returns the output of a wait whose time passes. A busy machine may take longer over the last read than a wait allows: the
 * wait then says so, and is made again.
 */
export async function waitOut<Output>(
  t: Bench,
  timeoutMs: number,
  wait: (options: { readonly timeoutMs: number }) => Promise<Output>,
): Promise<Output> {
  for (let tries = 1; ; tries++) {
    const waiting = wait({ timeoutMs });
    // Prevents an unhandled rejection while the clock moves.
    waiting.catch(() => {});
    await t.advance(timeoutMs);
    try {
      return await waiting;
    } catch (error) {
      const isLate = error instanceof CoordinationError && error.code === "wait_timeout";
      if (!isLate || tries === TRIES) throw error;
    }
  }
}
