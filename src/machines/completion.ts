import { decode, encode } from "../platform.js";
import type { Store } from "../store.js";
import {
  type Claim,
  claim,
  type DeliveryView,
  deliveryMembers,
  describe,
  MAX_OUTBOX,
  owedGenerations,
  redeliverAll,
  type SettleInput,
  settle as settleDelivery,
  type Targets,
  type WokenInput,
} from "./delivery.js";
import { keepEarly, takeEarly } from "./early-acks.js";
import {
  count,
  end,
  type GroupHead,
  type GroupState,
  type GroupView,
  numbered,
  open,
  registered,
  remainingOf,
  save,
  type TaskAck,
  unregistered,
  type Verdict,
  viewOf,
} from "./group.js";
import { loadMarks, markOf, rememberCall, taskName } from "./marks.js";
import { emptyRing } from "./op-ring.js";

/** The steps of a group: what may happen to it, each in one piece. */

export interface RegisterInput {
  op: string;
  /** A digest of what makes the registration the same one: tasks or total, policy, durable targets. */
  spec: string;
  total: number;
  /** The ids, all different, `total` of them; absent for tasks without a list. */
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

export interface AckInput {
  op: string;
  tasks: TaskAck[];
  generation?: number;
  earlyTtlMs: number;
  /** Also say the group's status. */
  view?: boolean;
}

export interface AckResult {
  verdict: Verdict;
  state: GroupState | "unregistered";
  /** This ack ended the group. */
  ended: boolean;
  remaining?: number;
  generation?: number;
}

/** Of how many generations the calls that made them are remembered. */
const REMEMBERED_OPS = 8;

function register(store: Store, input: RegisterInput): RegisterOutput {
  const head = open(store);
  const restart = input.restart;
  if (registered(head)) {
    /** This very call made it, and its reply was lost. */
    const made = head.ops.includes(input.op);
    const isSameRestart = restart === undefined || (restart.from !== undefined && restart.from === head.from);
    if (made || (head.spec === input.spec && isSameRestart)) return { outcome: "exists", view: viewOf(store, head) };
    if (restart === undefined) return { outcome: "conflict", view: viewOf(store, head) };
    if (restart.from !== undefined && restart.from !== head.generation) {
      return { outcome: "restart_lost", view: viewOf(store, head) };
    }
    if (owedGenerations(head).length >= MAX_OUTBOX) return { outcome: "outbox_full", view: viewOf(store, head) };
  } else if (restart !== undefined && restart.from !== undefined) {
    return { outcome: "restart_lost" };
  }
  return { outcome: "created", view: begin(store, head, input) };
}

/** Begins a generation, and counts what came before it. */
function begin(store: Store, before: GroupHead | undefined, input: RegisterInput): GroupView {
  const early = before === undefined || registered(before) ? [] : takeEarly(store, before);
  const owed = registered(before) ? takeMembers(store, owedGenerations(before)) : [];
  store.clear();
  for (const [name, value] of owed) store.set(name, value);

  const head: GroupHead = unregistered();
  head.state = "open";
  head.spec = input.spec;
  head.named = input.tasks !== undefined || input.indexed === true;
  if (input.indexed === true) head.ring = emptyRing();
  head.total = input.total;
  head.need = input.total;
  head.ttlMs = input.ttlMs;
  head.refreshedAtMs = store.nowMs;
  head.deliveryId = input.deliveryId;
  if (registered(before)) {
    head.ops = before.ops;
    head.due = before.due;
    head.dead = before.dead;
  }
  head.ops.push(input.op);
  if (head.ops.length > REMEMBERED_OPS) head.ops.shift();
  // From the server's time, so that it never falls back after the record has expired.
  head.generation = registered(before) ? Math.max(before.generation + 1, store.nowMs) : store.nowMs;
  if (input.timeoutMs > 0) head.deadlineAtMs = store.nowMs + input.timeoutMs;
  if (input.restart?.from !== undefined) head.from = input.restart.from;
  if (input.metadata !== undefined) store.set("meta", input.metadata);
  if (input.targets !== undefined) {
    store.set("targets", encode(input.targets));
    head.owes = input.targets.timeout !== undefined || input.targets.end !== undefined;
  }
  for (const id of input.tasks ?? []) store.set(taskName(id), "");

  // Without tasks there is nothing that an early ack could count for.
  if (head.need <= 0) end(store, head, "completed", "register");
  for (const ack of early) {
    if (head.state === "open" && markOf(store, head, ack.id, ack.op) === "open") count(store, head, ack, ack.op);
  }
  save(store, head);
  store.notify();
  return viewOf(store, head);
}

/** The deliveries that an ended generation still owes. */
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

function verdictOf(store: Store, head: GroupHead, task: TaskAck, input: AckInput): Verdict {
  const mark = markOf(store, head, task.id, input.op);
  if (mark === undefined || (input.generation !== undefined && input.generation !== head.generation)) return "unknown";
  if (mark !== "open") return mark === "mine" ? "accepted" : "duplicate";
  if (head.state === "cancelled") return "cancelled";
  if (head.state !== "open") return "late";
  count(store, head, task, input.op);
  return "accepted";
}

function ack(store: Store, input: AckInput): { results: AckResult[]; view?: GroupView } {
  const head = open(store);
  const ids = input.tasks.map((task) => task.id);
  loadMarks(store, head, ids);
  const results: AckResult[] = [];
  if (!registered(head)) {
    for (const task of input.tasks) {
      results.push({ verdict: keepEarly(store, task, input), state: "unregistered", ended: false });
    }
    return { results };
  }
  const counted = head.succeeded + head.failed;
  const said: Record<string, Verdict | undefined> = {};
  const others: string[] = [];
  for (const task of input.tasks) {
    const name = taskName(task.id);
    const before = said[name];
    const verdict = before === undefined ? verdictOf(store, head, task, input) : again(before);
    if (before === undefined && verdict !== "accepted") others.push(task.id);
    said[name] = verdict;
    const ended = verdict === "accepted" && head.endedBy === name;
    const state = head.state as GroupState;
    results.push({ verdict, state, ended, remaining: remainingOf(head), generation: head.generation });
  }
  if (head.succeeded + head.failed > counted) {
    rememberCall(store, head, input.op, others);
    save(store, head);
  }
  return input.view === true ? { results, view: viewOf(store, head) } : { results };
}

/** What a task is told that stands twice in one call. */
function again(verdict: Verdict): Verdict {
  return verdict === "accepted" ? "duplicate" : verdict;
}

/** Counts tasks that have no names. The one write that an op id alone keeps from counting twice. */
function decrement(store: Store, input: { op: string; by: number }): { remaining?: number; refused?: "named" } {
  const head = open(store);
  if (!registered(head)) return {};
  if (head.named) return { refused: "named" };
  const name = `x:${input.op}`;
  if (head.state !== "open" || store.get(name) !== undefined) return { remaining: remainingOf(head) };
  store.set(name, "");
  head.succeeded += Math.min(input.by, remainingOf(head));
  head.need -= input.by;
  if (head.need <= 0) end(store, head, "completed", name);
  save(store, head);
  return { remaining: remainingOf(head) };
}

function cancel(store: Store, input: { reason: string; generation?: number }): { view?: GroupView } {
  const head = open(store);
  if (!registered(head)) return {};
  const isMeant = input.generation === undefined || input.generation === head.generation;
  if (head.state === "open" && isMeant) {
    end(store, head, "cancelled", "cancel", input.reason);
    save(store, head);
  }
  return { view: viewOf(store, head) };
}

function status(store: Store, _input: object): { view?: GroupView } {
  const head = open(store);
  return registered(head) ? { view: viewOf(store, head) } : {};
}

/**
 * What a waiter looks at: ready once the group has ended. An unknown group may yet be registered. One who waits for a
 * certain generation waits no longer than it stands.
 */
function wait(
  store: Store,
  input: { generation?: number },
): { ready: boolean; recheckInMs?: number; view?: GroupView } {
  const head = open(store);
  if (!registered(head)) return { ready: input.generation !== undefined };
  if (input.generation !== undefined && input.generation !== head.generation) return { ready: true };
  if (head.state !== "open") return { ready: true, view: viewOf(store, head) };
  if (head.deadlineAtMs === undefined) return { ready: false };
  return { ready: false, recheckInMs: head.deadlineAtMs - store.nowMs };
}

/** Results in the order of their acks, from `after` (exclusive) on. */
function results(
  store: Store,
  input: { after: number; limit: number },
): { found: boolean; items: { taskId: string; result: string }[]; next?: number } {
  const head = open(store);
  if (!registered(head)) return { found: false, items: [] };
  const last = Math.min(input.after + input.limit, head.results);
  const names: string[] = [];
  for (let n = input.after + 1; n <= last; n++) names.push(numbered("r", n));
  store.load(names);
  const items: { taskId: string; result: string }[] = [];
  for (const name of names) {
    const text = store.get(name);
    if (text !== undefined) items.push(decode<{ taskId: string; result: string }>(text));
  }
  return last < head.results ? { found: true, items, next: last } : { found: true, items };
}

/** Of the instances that hold a plain function for this generation, one takes its call. */
function take(store: Store, input: { op: string; generation: number }): { taken: boolean } {
  const head = open(store);
  if (!registered(head) || head.generation !== input.generation || head.state === "open") return { taken: false };
  if (head.taker === undefined) {
    head.taker = input.op;
    save(store, head);
  }
  return { taken: head.taker === input.op };
}

function redeliver(store: Store, input: { op: string }): { view?: GroupView } {
  const head = open(store);
  if (!registered(head)) return {};
  if (head.redeliverOp !== input.op) {
    head.redeliverOp = input.op;
    redeliverAll(store, head, head.generation);
    save(store, head);
  }
  return { view: viewOf(store, head) };
}

/** The timer rang: applies the deadline, claims the deliveries that are due, and arms the next timer from the state. */
function woken(store: Store, input: WokenInput): { claims: Claim[] } {
  const head = open(store);
  if (!registered(head)) return { claims: [] };
  const claims = claim(store, head, input);
  save(store, head);
  return { claims };
}

function settle(store: Store, input: SettleInput): { settled: boolean; delivery?: DeliveryView } {
  const head = open(store);
  if (!registered(head) || !settleDelivery(store, head, input)) return { settled: false };
  save(store, head);
  return { settled: true, delivery: describe(store, input.generation) };
}

export const completion = {
  register,
  ack,
  decrement,
  cancel,
  status,
  wait,
  results,
  take,
  redeliver,
  woken,
  settle,
};
