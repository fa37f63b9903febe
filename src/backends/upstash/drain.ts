import type { DrainReport } from "../../coordinator.js";
import type { DueLine, DueLines } from "./due-queue.js";

/** How many records are woken side by side. */
const CONCURRENCY = 4;

/** How long a record waits that could not be woken: so long it stands in nobody's way. */
const PUT_OFF_MS = 30_000;

/** What a drain does with a line. */
export interface Drainer {
  /** False: it failed, and may still be due. */
  wake(line: DueLine): Promise<boolean>;
  postpone(line: DueLine, atMs: number): Promise<void>;
}

/**
 * Wakes what is due, each line once, until the limit, the time or the signal says stop. What cannot be woken is put off,
 * and does not count: many of them would keep everything behind them from ever being reached.
 */
export async function drainLines(
  { lines, nowMs, isCut }: DueLines,
  { wake, postpone }: Drainer,
  { limit, budgetMs, signal }: { limit: number; budgetMs: number; signal: AbortSignal | undefined },
): Promise<DrainReport> {
  const stopAtMs = Date.now() + budgetMs;
  const due = lines.filter(({ atMs }) => atMs <= nowMs);
  const left = new Set(due);
  let next = 0;
  let underWay = 0;
  let woken = 0;
  const drainer = async (): Promise<void> => {
    while (woken + underWay < limit && Date.now() < stopAtMs && !signal?.aborted) {
      const line = due[next++];
      if (line === undefined) return;
      underWay++;
      const isWoken = await wake(line);
      if (isWoken) left.delete(line);
      else await postpone(line, nowMs + PUT_OFF_MS);
      underWay--;
      if (isWoken) woken++;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, drainer));
  const [coming] = [...left, ...lines.filter(({ atMs }) => atMs > nowMs)];
  return { woken, left: left.size > 0 || isCut, nextDueAtMs: coming?.atMs };
}
