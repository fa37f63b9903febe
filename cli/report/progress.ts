import type { GroupStatus, RequestStatus } from "../../src/index.js";
import { colourOf, type Paint } from "../text/paint.js";
import { printable } from "../text/printable.js";
import { count, fromNow, grouped } from "../text/time.js";

/** The counts of a status, of groups and of requests. */
export interface Progress {
  readonly state: string;
  readonly total: number;
  readonly open: number;
  readonly failed: number;
  readonly deadlineAtMs: number | null;
  /** It has ended, or it is a request whose tasks are all done. */
  readonly isOver: boolean;
  /** It ended as its owner wants: completed, or complete. */
  readonly isGood: boolean;
}

export function progressOf(status: GroupStatus | RequestStatus): Progress {
  const { state, deadlineAtMs } = status;
  if ("groupId" in status) {
    const { total, remaining: open, failed } = status;
    return { state, total, open, failed, deadlineAtMs, isOver: state !== "open", isGood: state === "completed" };
  }
  const stages = Object.values(status.stages);
  const sum = (numberOf: (stage: (typeof stages)[number]) => number): number =>
    stages.reduce((whole, stage) => whole + numberOf(stage), 0);
  return {
    state,
    total: sum(({ total }) => total),
    open: status.open,
    failed: sum(({ errorCount }) => errorCount),
    deadlineAtMs,
    isOver: state !== "pending",
    isGood: state === "complete",
  };
}

const BAR_WIDTH = 30;

/** Returns the bar of a status, without a line break. */
export function bar(progress: Progress, paint: Paint, nowMs: number): string {
  const { total, open } = progress;
  const share = total === 0 ? 0 : (total - open) / total;
  const filled = Math.floor(share * BAR_WIDTH);
  const colour = progress.isOver ? colourOf(progress.state) : "bold";
  return `[${paint(colour, "#".repeat(filled))}${".".repeat(BAR_WIDTH - filled)}] ${progressLine(progress, nowMs)}`;
}

/** Returns a status in a few words. */
export function progressLine({ state, total, open, failed, deadlineAtMs, isOver }: Progress, nowMs: number): string {
  const parts = [`${grouped(total - open)} of ${count(total, "task")}`];
  if (failed > 0) parts.push(`${grouped(failed)} failed`);
  if (isOver) parts.push(printable(state));
  else if (deadlineAtMs !== null) parts.push(`times out ${fromNow(deadlineAtMs, nowMs)}`);
  return parts.join(", ");
}
