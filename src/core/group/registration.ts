import { decode, encode } from "../host.js";
import { touch } from "../lifetime.js";
import { nextNumber } from "../numbers.js";
import { deliveryMembers, forgetDead, MAX_OUTBOX, owedGenerations, type Targets } from "../outbox/deliveries.js";
import { emptyRing } from "../recent-operations.js";
import type { Store } from "../store.js";
import { takeEarly } from "./early-acks.js";
import { count, end, type GroupHead, type GroupView, open, type Registration, save, viewOf } from "./record.js";
import { markOf, taskName } from "./task-set.js";

/** Registration of a group. A group is registered once; only a restart registers it anew. */

export interface RegisterInput {
  op: string;
  /**
   * A digest of the tasks or the total, the policy and the durable targets. A registration with the same digest is the
   * same one.
   */
  spec: string;
  total: number;
  /** The task ids: all different, `total` of them. Absent for tasks without a list. */
  tasks?: string[];
  /** The tasks are the numbers from 0 to `total` - 1. */
  indexed?: boolean;
  /** 0: no deadline. */
  timeoutMs: number;
  ttlMs: number;
  deliveryId: string;
  targets?: Targets;
  metadata?: string;
  restart?: { from?: number };
}

export interface RegisterOutput {
  outcome: "created" | "exists" | "conflict" | "restart_lost" | "outbox_full";
  view?: GroupView;
}

/** How many generations of an id have their creating calls remembered. */
const REMEMBERED_OPS = 8;

export function register(store: Store, input: RegisterInput): RegisterOutput {
  const head = open(store);
  const restart = input.restart;
  if (head === undefined) {
    if (restart !== undefined && restart.from !== undefined) return { outcome: "restart_lost" };
    return { outcome: "created", view: begin(store, undefined, input) };
  }
  const { spec, ops, from } = decode<Registration>(store.get("reg")!);
  /** This call created the group, and its reply was lost. */
  const made = ops.includes(input.op);
  const isSameRestart = restart === undefined || (restart.from !== undefined && restart.from === from);
  if (made || (spec === input.spec && isSameRestart)) return { outcome: "exists", view: viewOf(store, head) };
  if (restart === undefined) return { outcome: "conflict", view: viewOf(store, head) };
  if (restart.from !== undefined && restart.from !== head.generation) {
    return { outcome: "restart_lost", view: viewOf(store, head) };
  }
  forgetDead(head, store.nowMs);
  if (owedGenerations(head).length >= MAX_OUTBOX) return { outcome: "outbox_full", view: viewOf(store, head) };
  return { outcome: "created", view: begin(store, { head, ops }, input) };
}

/** Starts a generation and counts the early acks. */
function begin(store: Store, before: { head: GroupHead; ops: string[] } | undefined, input: RegisterInput): GroupView {
  const early = before === undefined ? takeEarly(store) : [];
  const owed = before === undefined ? [] : takeMembers(store, owedGenerations(before.head));
  store.clear();
  for (const [name, value] of owed) store.set(name, value);

  const head: GroupHead = {
    state: "open",
    generation: nextNumber(store, before === undefined ? 0 : before.head.generation),
    named: input.tasks !== undefined || input.indexed === true,
    total: input.total,
    succeeded: 0,
    failed: 0,
    results: 0,
    owes: input.targets !== undefined && (input.targets.timeout !== undefined || input.targets.end !== undefined),
    ttlMs: input.ttlMs,
  };
  if (input.indexed === true) head.ring = emptyRing();
  if (input.timeoutMs > 0) head.deadlineAtMs = store.nowMs + input.timeoutMs;
  touch(store, head);
  if (before?.head.outbox !== undefined) head.outbox = before.head.outbox;

  const ops = before === undefined ? [] : before.ops;
  ops.push(input.op);
  if (ops.length > REMEMBERED_OPS) ops.shift();
  const registration: Registration = { spec: input.spec, ops, deliveryId: input.deliveryId };
  if (input.restart?.from !== undefined) registration.from = input.restart.from;
  if (input.targets !== undefined) registration.targets = input.targets;
  store.set("reg", encode(registration));
  if (input.metadata !== undefined) store.set("meta", input.metadata);
  for (const id of input.tasks ?? []) store.set(taskName(id), "");

  // A group without tasks has nothing that an early ack could count for.
  if (head.total <= 0) end(store, head, "completed", "register");
  for (const ack of early) {
    if (head.state === "open" && markOf(store, head, ack.id, ack.op) === "open") count(store, head, ack, ack.op);
  }
  save(store, head);
  store.notify();
  return viewOf(store, head);
}

/** Returns the members of pending deliveries and dead letters of earlier generations. */
function takeMembers(store: Store, generations: readonly number[]): [string, string][] {
  const taken: [string, string][] = [];
  for (const generation of generations) {
    for (const name of deliveryMembers(generation)) {
      const value = store.get(name);
      if (value !== undefined) taken.push([name, value]);
    }
  }
  return taken;
}
