import { encode } from "../host.js";
import { numbersUntilMs } from "../numbers.js";
import { enqueue, nextDueMs, PENDING_MS, pendingUntilMs, type Target, type Targets } from "../outbox/deliveries.js";
import { CASCADE_ROUTE, TASK_ROUTE } from "../outbox/routes.js";
import type { EndedRecord, Store } from "../store.js";
import { indexLineOf } from "./listing.js";
import { decide } from "./policy.js";
import {
  chainOf,
  type Ending,
  type GroupHead,
  type GroupState,
  hasNoOpenTask,
  isOpen,
  readRegistration,
} from "./record.js";
import { noStages, type Stages, saveStages } from "./stages.js";
import { viewOf } from "./view.js";

/** A group that a step works on. */
export interface Group {
  store: Store;
  head: GroupHead;
  stages: Stages;
}

/** How long waiters alone keep an open group alive after its last write: 30 days. */
const MAX_FOLLOWED_MS = 2_592_000_000;

/**
 * Opens the group of a record and applies its clocks: a group past its deadline, its idle end or its silent end has ended,
 * whichever step looks first. Returns `undefined` for a record without a group, or with a removed one.
 */
export function openGroup(store: Store): Group | undefined {
  const group = openAny(store);
  return group === undefined || group.head.removedAtMs !== undefined ? undefined : group;
}

/** As `openGroup`, and a removed group too: its outbox and its marks live on. */
export function openAny(store: Store): Group | undefined {
  const head = store.head<GroupHead | { state: "early" }>();
  if (head === undefined || head.state === "early") return undefined;
  const group: Group = { store, head, stages: noStages() };
  const clock = nextClock(head);
  if (isOpen(head) && clock.atMs <= store.nowMs) {
    // A request without an open task has all that it waits for, whichever clock runs out.
    if (head.request === true && hasNoOpenTask(head)) {
      head.completionReason = "all_completed";
      end(group, "completed", clock.name);
    } else {
      head.reason = clock.name;
      end(group, "timed_out", clock.name);
    }
    save(group);
  }
  return group;
}

/** Ends an open group if its counts say so. `endedBy` is the member of the task that counted last. */
export function applyPolicy(group: Group, isCallOver: boolean, endedBy: string): void {
  if (!isOpen(group.head)) return;
  const decision = decide(group.head, isCallOver);
  if (decision === undefined) return;
  group.head.completionReason = decision.reason;
  end(group, decision.state, endedBy);
}

export function end({ head }: Group, state: GroupState, endedBy: string, ending: Ending = {}): void {
  head.state = state;
  head.endedBy = endedBy;
  head.ending = ending;
}

/** The reason is a word of this library. The text that a caller gave to `cancel` is in the status alone. */
function endOf({ generation, state, completionReason, endedBy, total, succeeded, failed }: GroupHead): EndedRecord {
  const reason = completionReason ?? endedBy!;
  return { type: "ended", generation, state: state as EndedRecord["state"], reason, total, succeeded, failed };
}

/**
 * Stores a change: the head, the stages, the deliveries of an end, and the timers, which follow from the state. An open
 * group's timer is only moved forward: `arm` sets it anew when it rings.
 */
export function save(group: Group): void {
  const { store, head } = group;
  head.changes += 1;
  saveStages(store, group.stages);
  if (head.ending !== undefined) {
    const ending = head.ending;
    // Not deleted: in Lua `delete` needs a library of 3 kB.
    head.ending = undefined;
    head.endedAtMs = store.nowMs;
    store.tell(endOf(head));
    queueDeliveries(group, ending);
    store.notify();
    arm(group);
    return;
  }
  // Those who wait for a request hear of each time that it has no open task.
  if (head.request === true && hasNoOpenTask(head)) store.notify();
  store.put(head);
  const wakeAtMs = nextWakeMs(head);
  if (!isOpen(head)) store.wakeAt(wakeAtMs);
  else if (wakeAtMs !== undefined) store.wakeAt(wakeAtMs, true);
  keep(group);
}

/** Stores the head without a new version, and sets the timer from the state. */
export function arm(group: Group): void {
  group.store.put(group.head);
  group.store.wakeAt(nextWakeMs(group.head));
  keep(group);
}

/** An accepted write puts off the idle end and the silent end. */
export function touch({ store, head }: Group): void {
  head.touchedAtMs = store.nowMs;
}

/** A waiter puts off the silent end, at most every quarter of the time to live. */
export function follow(group: Group): void {
  const { store, head } = group;
  if (!isOpen(head) || nextClock(head).name !== "silent") return;
  if (isFollowedTooLong(group) || msToFollow(group) > 0) return;
  head.followedAtMs = store.nowMs;
  store.put(head);
  keep(group);
}

/** After how many milliseconds a waiter should look again to keep the group alive, or only to see it end. */
export function recheckInMs(group: Group, isFollower: boolean): number {
  const { store, head } = group;
  const clock = nextClock(head);
  const endInMs = clock.atMs - store.nowMs;
  if (clock.name !== "silent" || !isFollower || isFollowedTooLong(group)) return endInMs;
  const followInMs = msToFollow(group);
  return Math.min(endInMs, Math.max(followInMs, MIN_RECHECK_MS));
}

/** A record with a very short time to live is kept alive by no waiter. */
const MIN_RECHECK_MS = 100;

const isFollowedTooLong = ({ store, head }: Group): boolean => store.nowMs - head.touchedAtMs > MAX_FOLLOWED_MS;

function msToFollow({ store, head }: Group): number {
  return aliveAtMs(head) + Math.ceil(head.ttlMs / 4) - store.nowMs;
}

const aliveAtMs = (head: GroupHead): number => Math.max(head.touchedAtMs, head.followedAtMs ?? 0);

/** The clock that ends an open group next. */
function nextClock(head: GroupHead): { name: "deadline" | "idle" | "silent"; atMs: number } {
  const { deadlineAtMs, idleMs } = head;
  const idleAtMs = idleMs === undefined ? undefined : head.touchedAtMs + idleMs;
  if (deadlineAtMs !== undefined && (idleAtMs === undefined || deadlineAtMs <= idleAtMs)) {
    return { name: "deadline", atMs: deadlineAtMs };
  }
  if (idleAtMs !== undefined) return { name: "idle", atMs: idleAtMs };
  return { name: "silent", atMs: aliveAtMs(head) + head.ttlMs };
}

/** When the record wants to be looked at. The silent end of a group without a target is applied by the next reader. */
function nextWakeMs(head: GroupHead): number | undefined {
  const dueMs = nextDueMs(head);
  if (!isOpen(head)) return dueMs;
  const clock = nextClock(head);
  if (clock.name === "silent" && head.isTimed !== true) return dueMs;
  return dueMs !== undefined && dueMs < clock.atMs ? dueMs : clock.atMs;
}

/** Sets the record's line in the index, and its expiry: the last instant at which a caller, a drain or another record needs it, plus its TTL. */
function keep({ store, head }: Group): void {
  const isOpenNow = isOpen(head);
  // A generation must never be issued twice.
  let neededMs = numbersUntilMs(store, head.generation);
  let slackMs = 0;
  if (isOpenNow) {
    const clock = nextClock(head);
    neededMs = Math.max(neededMs, clock.atMs + (head.isTimed === true ? PENDING_MS : 0));
    // Each ack postpones these ends. The expiry moves seldom, to keep an ack cheap.
    if (clock.name !== "deadline") slackMs = Math.floor(head.ttlMs / 4);
  }
  // Deliveries outlive the group: without timers they wait for a drain, and a dead letter waits for an operator.
  neededMs = Math.max(neededMs, pendingUntilMs(head) ?? 0);
  const ttlMs = head.removedAtMs === undefined ? head.ttlMs : REMOVED_MS;
  store.keepUntil(Math.max(neededMs + ttlMs, head.neededMs ?? 0), slackMs);
  store.list(indexLineOf(head));
}

/** How long the marks of a removed group turn late copies of its calls away. */
export const REMOVED_MS = 60_000;

function queueDeliveries({ store, head }: Group, { isParents, sparesChildren, traceparent: endTrace }: Ending): void {
  const { targets, parent, deliveryId, traceparent } = readRegistration(store);
  const target = targetOf(head, targets);
  const type = `${head.request === true ? "request" : "group"}.${head.state}`;
  const delivery = {
    generation: head.generation,
    type,
    snapshot: encode(viewOf(store, head)),
    registerTrace: traceparent,
    endTrace,
  };
  if (target !== undefined) enqueue(store, head, { ...delivery, kind: "callback", id: deliveryId, target });
  if (parent !== undefined && isParents !== true) {
    enqueue(store, head, {
      ...delivery,
      kind: "parent",
      id: `${deliveryId}-parent`,
      target: { route: TASK_ROUTE, body: parent.body },
    });
  }
  if (head.children !== undefined && sparesChildren !== true) {
    const [chain, lists] = [chainOf(head), head.children];
    enqueue(store, head, {
      ...delivery,
      kind: "cascade",
      id: `${deliveryId}-cascade`,
      target: { route: CASCADE_ROUTE, body: encode({ chain, lists, ttlMs: head.ttlMs }) },
      children: { chain, lists },
    });
  }
}

function targetOf(head: GroupHead, targets: Targets | undefined): Target | undefined {
  if (targets === undefined) return undefined;
  const { success, failure, complete, timeout, end: any } = targets;
  if (head.state === "completed") return (head.failed > 0 ? undefined : success) ?? complete ?? any;
  if (head.state === "failed") return failure ?? any;
  if (head.state === "timed_out") return timeout ?? failure ?? any;
  return any;
}
