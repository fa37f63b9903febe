import type { Snapshot } from "../snapshot.js";
import { colourOf, type Paint } from "../text/paint.js";
import { printable, printableJson, quoted } from "../text/printable.js";
import { table } from "../text/table.js";
import { count, grouped, when } from "../text/time.js";
import { parentWords, taskName } from "./why.js";

/** Returns a status as lines of names and values. */
export function showText({ kind, id, status, state, hasPolicy }: Snapshot, paint: Paint, nowMs: number): string {
  const { total, succeeded, failed, remaining, delivery, metadata } = status;
  const rows: [name: string, value: string][] = [
    ["state", paint(colourOf(state), printable(state))],
    ["generation", String(status.generation)],
    [
      "tasks",
      `${count(total, "task")}: ${grouped(succeeded)} succeeded, ${grouped(failed)} failed, ${grouped(remaining)} open`,
    ],
    ["sealed", status.sealed ? "yes" : "no"],
    ["registered", when(status.registeredAtMs, nowMs)],
  ];
  if (hasPolicy) rows.push(["policy", "yes"]);
  if (status.lastAckAtMs !== null) rows.push(["last ack", when(status.lastAckAtMs, nowMs)]);
  if (status.endedAtMs !== null) rows.push(["ended", when(status.endedAtMs, nowMs)]);
  else rows.push(["deadline", status.deadlineAtMs === null ? "none" : when(status.deadlineAtMs, nowMs)]);
  if (status.reason !== null) rows.push(["reason", quoted(status.reason)]);
  if (status.completionReason !== null) rows.push(["completed by", status.completionReason]);
  rows.push(["callback", paint(colourOf(delivery.state), delivery.state)]);
  if (delivery.deliveryId !== null) rows.push(["delivery id", printable(delivery.deliveryId)]);
  if (delivery.attempts > 0) rows.push(["attempts", String(delivery.attempts)]);
  if (delivery.lastError !== null) rows.push(["last error", quoted(delivery.lastError, 300)]);
  if (delivery.nextAttemptAtMs !== null) rows.push(["next attempt", when(delivery.nextAttemptAtMs, nowMs)]);
  if (status.parent !== null) rows.push(["parent", parentWords(status.parent)]);
  if (metadata !== null) rows.push(["metadata", printableJson(metadata)]);
  const title = paint("bold", `${kind} ${printable(id)}`);
  return `${title}\n${table(rows.map(([name, value]) => [`  ${name}`, value]))}${stagesText(status)}${errorsText(status)}`;
}

function stagesText({ stages }: Snapshot["status"]): string {
  const lines = Object.entries(stages).map(([stage, { total, open, succeeded, failed, requeueCount }]) => [
    `  ${printable(stage)}`,
    ...[total, open, succeeded, failed, requeueCount].map(grouped),
  ]);
  if (lines.length === 0) return "";
  return `\n${table([["  stage", "total", "open", "succeeded", "failed", "requeued"], ...lines])}`;
}

function errorsText({ errors, errorCount }: Snapshot["status"]): string {
  if (errors.length === 0) return "";
  const lines = errors.map(({ taskId, stage, message }) => {
    return `  ${taskId === null ? "(no task)" : taskName({ taskId, stage })}: ${quoted(message, 300)}\n`;
  });
  const more = errorCount - errors.length;
  return `\n${count(errorCount, "error")}${more > 0 ? `, the first ${errors.length}` : ""}:\n${lines.join("")}`;
}
