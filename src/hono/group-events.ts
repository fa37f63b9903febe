import type { GroupStatus } from "../delivery/group-status.js";
import type { CompletionTracker } from "../trackers/completion.js";
import type { ProgressSource } from "./progress-stream.js";

/**
 * Returns the progress of a group as events: `progress` with its status, then one with the name of the state at its end.
 *
 * @param shown returns what clients see of a status.
 */
export function groupEvents(
  tracker: CompletionTracker,
  id: string,
  shown: (status: GroupStatus) => object = (status) => status,
): ProgressSource<GroupStatus> {
  return {
    id,
    transition: "completion.progress",
    newer: (after, options) => tracker.newer(id, after, options),
    eventOf(status) {
      const isLast = status.state !== "open";
      return { name: isLast ? status.state : "progress", version: status.version, data: shown(status), isLast };
    },
  };
}
