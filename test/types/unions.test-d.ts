import type { AckResult, GroupStatus } from "../../src/index.js";

/** Checked by the compiler alone: what must not compile stands below `@ts-expect-error`. */

/** An ack of a registered group says what remains, and of which generation. */
export function remainingOf(result: AckResult): number | null {
  if (result.verdict === "accepted" || result.verdict === "late") return result.remaining - result.generation;
  // @ts-expect-error: a group that is not registered has no generation
  if (result.verdict === "early") return result.generation + 1;
  return result.remaining;
}

/** Only an accepted ack can have ended the group. */
export function hasEnded(result: AckResult): boolean {
  if (result.verdict !== "accepted") {
    const ended: false = result.ended;
    return ended;
  }
  // @ts-expect-error: this one may have
  const ended: false = result.ended;
  return ended;
}

/** What an accepted ack says of its group is known. */
export function stateOf(result: AckResult): "open" | "completed" | "failed" | "timed_out" | "cancelled" {
  if (result.verdict === "accepted") {
    const [remaining, generation]: [number, number] = [result.remaining, result.generation];
    // @ts-expect-error: a counted ack has a registered group
    return remaining > generation ? result.state : ("unregistered" satisfies typeof result.state);
  }
  // @ts-expect-error: an unknown one may have none
  return result.state;
}

/** Why a group ended follows from its state. */
export function reasonOf(status: GroupStatus): string {
  const sealed: boolean = status.sealed;
  const [stage] = Object.values(status.stages);
  if (status.state === "failed") {
    const exceeded: "failure_tolerance_exceeded" = status.completionReason;
    const endedAtMs: number = status.endedAtMs;
    return `${exceeded} ${endedAtMs} ${sealed} ${stage?.open}`;
  }
  if (status.state === "completed") {
    // @ts-expect-error: a completed group has not failed
    const exceeded: "failure_tolerance_exceeded" = status.completionReason;
    return exceeded;
  }
  if (status.state === "timed_out") {
    const clock: "deadline" | "idle" | "silent" = status.reason;
    return clock;
  }
  const none: null = status.completionReason;
  return String(none);
}

/** A cancelled group has a reason, a completed one may be ok. */
export function said(status: GroupStatus): string {
  switch (status.state) {
    case "cancelled":
      return status.reason.toUpperCase();
    case "completed":
      return status.ok ? "ok" : `${status.failed} failed`;
    case "timed_out": {
      const ok: false = status.ok;
      return String(ok);
    }
    default:
      // @ts-expect-error: an open group has no reason
      return status.reason.toUpperCase();
  }
}
