import type { Kind } from "../cli/snapshot.js";

/** A list of groups or requests that the page shows. */
export interface ListKind {
  readonly title: string;
  /** The query of `GET /v1/groups` or `GET /v1/requests`. */
  readonly query: string;
  /** One sentence: which groups are in it. */
  readonly about: string;
  /** One sentence: the next step. */
  readonly hint: string;
}

/** The lists, in the order of their urgency. */
export const LISTS = {
  stuck: {
    title: "Stuck",
    query: "state=stuck&olderThan=5m",
    about: "Open, and no task was acked for five minutes.",
    hint: "Open one to see which tasks are missing.",
  },
  dead: {
    title: "Dead letters",
    query: "delivery=dead",
    about: "The callback was given up after its last attempt.",
    hint: "Mend the receiver, then redeliver.",
  },
  unhandled: {
    title: "Unhandled",
    query: "delivery=unhandled",
    about: "The deployed version lacks the handler or the webhook settings.",
    hint: "Deploy a version that has them. The callback then runs by itself.",
  },
  open: { title: "Open", query: "state=open", about: "Tasks are missing, or more may come.", hint: "" },
  ended: { title: "Ended", query: "state=ended", about: "Newest end first.", hint: "" },
  pending: { title: "Callback pending", query: "delivery=pending", about: "The callback is not made yet.", hint: "" },
  completed: { title: "Completed", query: "state=completed", about: "Newest end first.", hint: "" },
  failed: { title: "Failed", query: "state=failed", about: "A policy could no longer be met.", hint: "" },
  timed_out: { title: "Timed out", query: "state=timed_out", about: "A clock ended them.", hint: "" },
  cancelled: { title: "Cancelled", query: "state=cancelled", about: "A caller or a parent ended them.", hint: "" },
} as const satisfies Readonly<Record<string, ListKind>>;

export type ListName = keyof typeof LISTS;

/** Requests take no policy: none is listed as failed, and one that is complete is open or ended. */
const OF_GROUPS: readonly ListName[] = ["completed", "failed"];

/** The lists of a kind, in the order of their urgency. */
export function listNames(kind: Kind): ListName[] {
  const all = Object.keys(LISTS) as ListName[];
  return kind === "group" ? all : all.filter((name) => !OF_GROUPS.includes(name));
}

/** The lists that a person needs first. */
export const TROUBLE = ["stuck", "dead", "unhandled"] as const satisfies readonly ListName[];

export function isListName(kind: Kind, name: string): name is ListName {
  return (listNames(kind) as readonly string[]).includes(name);
}
