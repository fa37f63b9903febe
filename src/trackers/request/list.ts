import type { Coordinator } from "../../coordinator.js";
import type { GroupList, ListedGroup, ListOptions } from "../group/list.js";
import { fieldsOf, listRecords } from "../group/list.js";
import { type RequestState, requestStateOf } from "./status.js";

/** Which requests a page lists. */
export interface RequestListOptions extends Omit<ListOptions, "state"> {
  /**
   * `open`: requests that have not ended, `complete` ones among them. `ended`: those whose state is final. `stuck`: open
   * requests with an open task and without an ack for `olderThanSec`.
   *
   * @default "open"; with `delivery`, every state
   */
  readonly state?: "open" | "stuck" | "ended" | "timed_out" | "cancelled" | undefined;
}

/** A request as a list shows it. `status` has the rest. */
export interface ListedRequest extends Omit<ListedGroup, "groupId" | "state"> {
  readonly requestId: string;
  readonly state: RequestState;
  /** The request has ended: its state does not change any more. */
  readonly final: boolean;
}

const STATES = ["open", "stuck", "ended", "timed_out", "cancelled"];

/** Returns a page of requests. */
export async function listRequests(
  coordinator: Coordinator,
  options: RequestListOptions,
): Promise<GroupList<ListedRequest>> {
  const { items, ...page } = await listRecords(coordinator, "request", options, STATES);
  const requests = items.map((item): ListedRequest => {
    const { id, state: groupState, complete } = item;
    const [remaining, total] = complete === true ? [0, 1] : [1, 1];
    const state = requestStateOf({ state: groupState, remaining, total, sealed: false });
    return { requestId: id, state, final: groupState !== "open", ...fieldsOf(item) };
  });
  return { items: requests, ...page };
}
