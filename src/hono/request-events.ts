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

/** Returns the progress of a request as events. The last one comes once no task is open. */
export function requestEvents<S extends string>(
  publicId: string,
  { id, newer }: Pick<ProgressSource<RequestStatus<S>>, "id" | "newer">,
): ProgressSource<RequestStatus<S>> {
  return {
    id,
    transition: "request.progress",
    newer,
    eventOf(status) {
      const isLast = status.state !== "pending";
      const name = isLast ? status.state : "progress";
      return { name, version: status.version, data: publicStatus(publicId, status), isLast };
    },
  };
}
