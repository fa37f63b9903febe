import { decode, encode } from "../host.js";
import { endsAtMs, type LifetimeHead, touch } from "../lifetime.js";
import { numbersUntilMs } from "../numbers.js";
import {
  type DeliveryView,
  describe,
  enqueue,
  nextDueMs,
  type OutboxHead,
  OWED_MS,
  owedUntilMs,
  type Target,
  type Targets,
} from "../outbox/deliveries.js";
import type { OpRing } from "../recent-operations.js";
import type { Store } from "../store.js";
import type { EarlyHead } from "./early-acks.js";
import { type Marked, numbered, setMark, type TaskAck, taskName } from "./task-set.js";

/**
 * A group of tasks (a fan-in) ends once: when all tasks were acked, by timeout (`lifetime.ts`), or by a cancel.
 *
 * An ack is membership in a set: `task-set.ts` describes how that is stored. Before the group is registered, the member
 * `t:TASK` names the early ack's slot. Other members:
 *
 * - `reg`: the registration; `meta`: its metadata
 * - `y:N` and `z:N`: early acks; `e:N`: errors; `r:N`: results
 * - `x:OP` and `q:N`: recent operations
 * - `taker`: the instance that runs the plain function
 * - `redelivered`: the last call that queued deliveries again
 * - `d:GENERATION` and `s:GENERATION`: the outbox
 */

/** The state of a group. Every state except `open` is final. */
export type GroupState = "open" | "completed" | "failed" | "timed_out" | "cancelled";

/** How many errors are kept as text. Later errors are counted only. */
export const MAX_ERRORS = 100;

/** The fields that every transition reads and writes. Keep it small: each ack writes all of it. */
export interface GroupHead extends OutboxHead, Marked, LifetimeHead {
  state: GroupState;
  generation: number;
  succeeded: number;
  failed: number;
  results: number;
  /** The recent decrements. Absent before the first one. */
  decrements?: OpRing;
  /** The registration has a target for the timeout. */
  owes: boolean;
  reason?: string;
  /** The cause of the end: a member's name, or `deadline`, `cancel`, `decrement` or `register`. */
  endedBy?: string;
}

export interface GroupView {
  generation: number;
  state: GroupState;
  reason?: string;
  total: number;
  succeeded: number;
  failed: number;
  remaining: number;
  errors: { taskId: string; message: string }[];
  /** JSON text. */
  metadata?: string;
  deadlineAtMs?: number;
  delivery: DeliveryView;
}

/** The member `reg`: what only a second registration and the end of the group read. */
export interface Registration {
  spec: string;
  /**
   * `ops`: the calls that created the last generations, the current one last. `from`: the generation that this one
   * restarted.
   */
  ops: string[];
  from?: number;
  deliveryId: string;
  targets?: Targets;
}

/**
 * Returns the group, with its timeout applied: the first transition after that instant ends the group. Returns
 * `undefined` for a record that holds only early acks.
 */
export function open(store: Store): GroupHead | undefined {
  const head = store.head<GroupHead | EarlyHead>();
  if (head === undefined || head.state === "early") return undefined;
  if (head.state === "open" && endsAtMs(head) <= store.nowMs) {
    end(store, head, "timed_out", "deadline");
    save(store, head);
  }
  return head;
}

/** Stores the head. Sets timer and expiry from the state, so that no transition can forget either. */
export function save(store: Store, head: GroupHead): void {
  const isOpen = head.state === "open";
  const isSilent = isOpen && head.deadlineAtMs === undefined;
  let wakeAtMs = nextDueMs(head);
  /** The last instant at which the record is needed. A generation must never be issued twice. */
  let neededMs = numbersUntilMs(store, head.generation);
  if (isOpen) {
    const atMs = endsAtMs(head);
    // An idle timeout without a target needs no timer: the next read within the TTL applies it.
    const isTimed = !isSilent || head.owes;
    if (isTimed && (wakeAtMs === undefined || atMs < wakeAtMs)) wakeAtMs = atMs;
    const lastMs = atMs + (head.owes ? OWED_MS : 0);
    if (lastMs > neededMs) neededMs = lastMs;
  }
  // Deliveries outlive the group: without timers they wait for a drain, and a dead letter waits for an operator.
  const owedMs = owedUntilMs(head);
  if (owedMs !== undefined && owedMs > neededMs) neededMs = owedMs;
  store.put(head);
  // Each ack extends the idle timeout. Timer and expiry are moved only now and then, to keep an ack cheap.
  store.wakeAt(wakeAtMs, isSilent);
  store.keepUntil(neededMs + head.ttlMs, isSilent ? Math.floor(head.ttlMs / 4) : 0);
}

export function end(store: Store, head: GroupHead, state: GroupState, endedBy: string, reason?: string): void {
  head.state = state;
  head.endedBy = endedBy;
  if (reason !== undefined) head.reason = reason;
  const { targets, deliveryId } = decode<Registration>(store.get("reg")!);
  let own: Target | undefined;
  if (state === "completed") own = targets?.complete;
  else if (state === "timed_out") own = targets?.timeout;
  const target = own ?? targets?.end;
  if (target !== undefined) {
    const snapshot = encode(viewOf(store, head));
    enqueue(store, head, { generation: head.generation, id: deliveryId, type: `group.${state}`, target, snapshot });
  }
  store.notify();
}

export function remainingOf(head: GroupHead): number {
  return head.total - head.succeeded - head.failed;
}

export function viewOf(store: Store, head: GroupHead): GroupView {
  const kept = head.failed < MAX_ERRORS ? head.failed : MAX_ERRORS;
  const names: string[] = [];
  for (let n = 1; n <= kept; n++) names.push(numbered("e", n));
  store.load(names);
  const errors: { taskId: string; message: string }[] = [];
  for (const name of names) {
    const text = store.get(name);
    if (text !== undefined) errors.push(decode<{ taskId: string; message: string }>(text));
  }
  const view: GroupView = {
    generation: head.generation,
    state: head.state,
    total: head.total,
    succeeded: head.succeeded,
    failed: head.failed,
    remaining: remainingOf(head),
    errors,
    delivery: describe(store, head, head.generation),
  };
  if (head.reason !== undefined) view.reason = head.reason;
  if (head.deadlineAtMs !== undefined) view.deadlineAtMs = head.deadlineAtMs;
  const metadata = store.get("meta");
  if (metadata !== undefined) view.metadata = metadata;
  return view;
}

/** Counts a task that has not counted yet. Ends the group when no task remains. */
export function count(store: Store, head: GroupHead, task: TaskAck, op: string): void {
  touch(store, head);
  setMark(store, head, task.id, op);
  if (task.error !== undefined) {
    head.failed += 1;
    if (head.failed <= MAX_ERRORS) {
      store.set(numbered("e", head.failed), encode({ taskId: task.id, message: task.error }));
    }
  } else {
    head.succeeded += 1;
    if (task.result !== undefined) {
      head.results += 1;
      store.set(numbered("r", head.results), encode({ taskId: task.id, result: task.result }));
    }
  }
  if (remainingOf(head) <= 0) end(store, head, "completed", taskName(task.id));
}
