import type { RequestStatus } from "../trackers/request/status.js";
import type { ProgressSource } from "./progress-stream.js";

/** A request's status, as clients read it. */
export interface PublicStatus {
  readonly id: string;
  readonly state: RequestStatus["state"];
  readonly final: boolean;
  readonly open: number;
  readonly queueStatus: RequestStatus["stages"];
  readonly reason: string | null;
}

export function publicStatus(id: string, { state, final, open, stages, reason }: RequestStatus): PublicStatus {
  return { id, state, final, open, queueStatus: stages, reason };
}

/**
 * Returns the progress of a request as events: `progress` with its status, then one with the name of the state at its end.
 * A request that is complete but not sealed has not ended: another task opens it again.
 */
export function requestEvents<S extends string>(
  publicId: string,
  { id, newer }: Pick<ProgressSource<RequestStatus<S>>, "id" | "newer">,
): ProgressSource<RequestStatus<S>> {
  return {
    id,
    transition: "request.progress",
    newer,
    eventOf(status) {
      const { state, final, version } = status;
      return { name: final ? state : "progress", version, data: publicStatus(publicId, status), isLast: final };
    },
  };
}
