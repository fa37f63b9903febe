import type { GroupStatus } from "../../src/delivery/group-status.js";
import type { View } from "./group-view.js";

/** What a group's status says, but for what the backend's clock decides: the model's view in the words of the trackers. */
export function statusOf(view: View) {
  const { generation, state, sealed, total, succeeded, failed, remaining, errorCount, metadata } = view;
  return {
    ...{ generation, state, sealed, total, succeeded, failed, remaining, errorCount, metadata },
    ok: state === "completed" && failed === 0,
    completionReason: view.completionReason ?? null,
    reason: view.reason ?? null,
    // No group of a run has one: the simulation nests.
    parent: null,
    errors: view.errors.map(({ taskId = null, stage = null, message }) => ({ taskId, stage, message })),
    stages: Object.fromEntries(
      view.stages.map(({ stage, total: all, requeued, errors, ...counts }) => {
        const open = all - counts.succeeded - counts.failed;
        return [stage, { total: all, open, ...counts, requeueCount: requeued, errorCount: errors }];
      }),
    ),
  };
}

/** The same part of a status that a tracker returned. */
export function groupStatusOf(status: GroupStatus) {
  const { groupId: _, version: __, registeredAtMs: ___, deadlineAtMs, lastAckAtMs, endedAtMs, ...rest } = status;
  const { delivery: ____, ...compared } = rest;
  return compared;
}
