import type { Coordinator } from "../../coordinator.js";
import { LISTED_DELIVERIES, LISTED_STATES, listOf, type OwedDelivery } from "../../core/group/listing.js";
import type { GroupState } from "../../core/group/record.js";
import { CoordinationError } from "../../errors.js";
import { type Duration, inSeconds } from "../../lib/duration.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkInteger, checkNumber, isId, MAX_SEC } from "../../lib/validate.js";
import type { ListedMachine, ListedRecord, ListPosition } from "../../runtime/listing.js";
import type { CallOptions } from "../call-options.js";

/** Which groups a page lists. */
export interface ListOptions extends CallOptions {
  /**
   * `ended`: every state but `open`. `stuck`: open groups without an ack for `olderThanSec`.
   *
   * @default "open"; with `delivery`, every state
   */
  readonly state?: GroupState | "stuck" | "ended" | undefined;
  /** Only groups that owe such a delivery, of this generation or an earlier one. @default all groups */
  readonly delivery?: OwedDelivery | undefined;
  /**
   * Only open groups that were registered so long ago, and ended ones that ended so long ago, in seconds: 0 to a year. With
   * `stuck`: how long no task was acked.
   *
   * @default 0; with `stuck`, 300
   */
  readonly olderThanSec?: Duration | undefined;
  /** The `next` of the page before. @default from the first line */
  readonly after?: string | undefined;
  /** How many groups to look at: 1 to 100. @default 100 */
  readonly limit?: number | undefined;
}

/** A group as a list shows it. `status` has the rest. */
export interface ListedGroup {
  readonly groupId: string;
  readonly state: GroupState;
  readonly generation: number;
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly registeredAtMs: number;
  /** When an open group times out; null without a deadline. */
  readonly deadlineAtMs: number | null;
  /** When a task was last counted; null before the first. */
  readonly lastAckAtMs: number | null;
  readonly endedAtMs: number | null;
  /**
   * The worst delivery that the group owes. `unhandled`: no running instance has its handler. `dead`: a dead letter. Null: it
   * owes none, because all were made or there are none.
   */
  readonly delivery: OwedDelivery | null;
}

/** One page of a list. */
export interface GroupList<Item = ListedGroup> {
  readonly items: readonly Item[];
  /** Pass it as `after` for the next page. Null: this page is the last. */
  readonly next: string | null;
  /**
   * The time at which the list had this content, in milliseconds since 1970 by the backend's clock. On Durable Objects at
   * best: groups that could not tell the index lag further.
   */
  readonly asOfMs: number;
}

const LIST_OPTIONS: Names<ListOptions> = {
  state: true,
  delivery: true,
  olderThanSec: true,
  after: true,
  limit: true,
  signal: true,
};
export const MAX_LIMIT = 100;
const STUCK_SEC = 300;
// Written out: a bundler keeps a list that is computed, also where it is unused.
export const STATES = ["open", "stuck", "ended", "completed", "failed", "timed_out", "cancelled"];
export const OWED = ["pending", "unhandled", "dead"];

/** Reads one page of an index. `states` are the names that the tracker takes as `state`. */
export async function listRecords(
  coordinator: Coordinator,
  machine: ListedMachine,
  options: ListOptions,
  states: readonly string[] = STATES,
): Promise<GroupList<ListedRecord>> {
  checkOptions(options, LIST_OPTIONS);
  const { state, delivery, limit = MAX_LIMIT, signal } = options;
  checkName(state, states, "state");
  checkName(delivery, OWED, "delivery");
  checkInteger(limit, "limit", 1, MAX_LIMIT);
  const isStuck = state === "stuck";
  const olderThanSec = inSeconds(options.olderThanSec, "olderThanSec") ?? (isStuck ? STUCK_SEC : 0);
  checkNumber(olderThanSec, "olderThanSec", 0, MAX_SEC);
  const olderThanMs = Math.ceil(olderThanSec * 1000);
  const wanted = statesOf(state ?? (delivery === undefined ? "open" : "any"));
  const query = {
    machine,
    lists: listsOf(wanted, delivery),
    order: wanted.every((one) => one === "open") ? ("oldest" as const) : ("newest" as const),
    olderThanMs,
    after: positionOf(options.after),
    limit,
  };
  const { items, next, asOfMs, readAtMs = asOfMs } = await coordinator.list(query, { signal });
  const chosen = isStuck ? items.filter((item) => isSilent(item, readAtMs - olderThanMs)) : items;
  return { items: chosen, next: next === undefined ? null : textOf(next), asOfMs };
}

function statesOf(state: string): readonly GroupState[] {
  if (state === "any") return LISTED_STATES;
  if (state === "stuck") return ["open"];
  return state === "ended" ? LISTED_STATES.filter((one) => one !== "open") : [state as GroupState];
}

function listsOf(states: readonly GroupState[], delivery: OwedDelivery | undefined): number[] {
  const deliveries = delivery === undefined ? LISTED_DELIVERIES : [delivery];
  return states.flatMap((state) => deliveries.map((one) => listOf(state, one)));
}

/** Whether an open group has an open task, and none was acked since then. */
function isSilent({ state, complete, lastAckAtMs, registeredAtMs }: ListedRecord, sinceMs: number): boolean {
  return state === "open" && complete !== true && (lastAckAtMs ?? registeredAtMs) <= sinceMs;
}

const textOf = ({ atMs, id }: ListPosition): string => `${atMs}.${id}`;

function positionOf(after: unknown): ListPosition | undefined {
  if (after === undefined) return undefined;
  const [, atMs, id] = (typeof after === "string" && /^(\d{1,14})\.(.*)$/s.exec(after)) || [];
  if (!isId(id)) throw new CoordinationError("invalid_input", "after must be the next of a page");
  return { atMs: Number(atMs), id };
}

function checkName(value: unknown, names: readonly string[], field: string): void {
  if (value === undefined || names.includes(value as string)) return;
  throw new CoordinationError("invalid_input", `${field} must be one of "${names.join('", "')}"`);
}

/** Returns a page of groups. */
export async function listGroups(coordinator: Coordinator, options: ListOptions): Promise<GroupList> {
  const { items, ...page } = await listRecords(coordinator, "completion", options);
  return { items: items.map((item) => ({ groupId: item.id, state: item.state, ...fieldsOf(item) })), ...page };
}

/** Returns the fields that groups and requests have in common. */
export function fieldsOf(item: ListedRecord): Omit<ListedGroup, "groupId" | "state"> {
  const { generation, total, succeeded, failed, registeredAtMs } = item;
  return {
    generation,
    total,
    succeeded,
    failed,
    registeredAtMs,
    deadlineAtMs: item.deadlineAtMs ?? null,
    lastAckAtMs: item.lastAckAtMs ?? null,
    endedAtMs: item.endedAtMs ?? null,
    delivery: item.delivery ?? null,
  };
}
