import type { DrainReport } from "../../coordinator.js";
import type { DueLine, DueLines } from "./due-queue.js";

/** How many records are woken side by side. */
const CONCURRENCY = 4;

/** Wakes what is due, each line once, until the limit, the time or the signal says stop. */
export async function drainLines(
  { lines, nowMs, isCut }: DueLines,
  wake: (line: DueLine) => Promise<boolean>,
  { limit, budgetMs, signal }: { limit: number; budgetMs: number; signal: AbortSignal | undefined },
): Promise<DrainReport> {
  const stopAtMs = Date.now() + budgetMs;
  const due = lines.filter(({ atMs }) => atMs <= nowMs);
  const left = new Set(due);
  let begun = 0;
  let woken = 0;
  const drainer = async (): Promise<void> => {
    while (begun < limit && Date.now() < stopAtMs && !signal?.aborted) {
      const line = due[begun++];
      if (line === undefined) return;
      if (!(await wake(line))) continue;
      woken++;
      left.delete(line);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, drainer));
  const [next] = [...left, ...lines.filter(({ atMs }) => atMs > nowMs)];
  return { woken, left: left.size > 0 || isCut, nextDueAtMs: next?.atMs };
}
