import { decode } from "../platform.js";
import type { Store } from "../store.js";
import { type Claim, claim, type SettleInput, settle as settleDelivery, type WokenInput } from "./attempts.js";
import { type DeliveryView, describe, redeliverAll } from "./delivery.js";
import { keepEarly } from "./early-acks.js";
import {
  count,
  end,
  type GroupHead,
  type GroupState,
  type GroupView,
  numbered,
  open,
  remainingOf,
  save,
  type TaskAck,
  type Verdict,
  viewOf,
} from "./group.js";
import { loadMarks, markOf, rememberCall, taskName } from "./marks.js";
import { register } from "./registration.js";

/** The steps of a group: what may happen to it, each in one piece. */

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
  loadMarks(store, head, input.tasks);
  const results: AckResult[] = [];
  if (head === undefined) {
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
    results.push({ verdict, state: head.state, ended, remaining: remainingOf(head), generation: head.generation });
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
  if (head === undefined) return {};
  if (head.named) return { refused: "named" };
  const name = `x:${input.op}`;
  if (head.state !== "open" || store.get(name) !== undefined) return { remaining: remainingOf(head) };
  store.set(name, "");
  head.succeeded += Math.min(input.by, remainingOf(head));
  if (remainingOf(head) <= 0) end(store, head, "completed", name);
  save(store, head);
  return { remaining: remainingOf(head) };
}

function cancel(store: Store, input: { reason: string; generation?: number }): { view?: GroupView } {
  const head = open(store);
  if (head === undefined) return {};
  const isMeant = input.generation === undefined || input.generation === head.generation;
  if (head.state === "open" && isMeant) {
    end(store, head, "cancelled", "cancel", input.reason);
    save(store, head);
  }
  return { view: viewOf(store, head) };
}

function status(store: Store, _input: object): { view?: GroupView } {
  const head = open(store);
  return head !== undefined ? { view: viewOf(store, head) } : {};
}

/**
 * What a waiter looks at: ready once the group has ended. An unknown group may yet be registered. One who waits for a
 * certain generation waits no longer than it stands.
 */
function wait(
  store: Store,
  input: { generation?: number },
): { ready: boolean; version: number; recheckInMs?: number; view?: GroupView } {
  const head = open(store);
  // Generations begin at the server's time: whatever is registered from now on is not older.
  if (head === undefined) return { ready: input.generation !== undefined, version: store.nowMs };
  const version = head.generation;
  if (input.generation !== undefined && input.generation !== version) return { ready: true, version };
  if (head.state !== "open") return { ready: true, version, view: viewOf(store, head) };
  if (head.deadlineAtMs === undefined) return { ready: false, version };
  return { ready: false, version, recheckInMs: head.deadlineAtMs - store.nowMs };
}

/** Results in the order of their acks, from `after` (exclusive) on. */
function results(
  store: Store,
  input: { after: number; limit: number },
): { found: boolean; items: { taskId: string; result: string }[]; next?: number } {
  const head = open(store);
  if (head === undefined) return { found: false, items: [] };
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
  if (head === undefined || head.generation !== input.generation || head.state === "open") return { taken: false };
  if (store.get("taker") === undefined) {
    store.set("taker", input.op);
    save(store, head);
  }
  return { taken: store.get("taker") === input.op };
}

function redeliver(store: Store, input: { op: string }): { view?: GroupView } {
  const head = open(store);
  if (head === undefined) return {};
  if (store.get("redelivered") !== input.op) {
    store.set("redelivered", input.op);
    redeliverAll(store, head, head.generation);
    save(store, head);
  }
  return { view: viewOf(store, head) };
}

/** The timer rang: applies the deadline, claims the deliveries that are due, and arms the next timer from the state. */
function woken(store: Store, input: WokenInput): { claims: Claim[] } {
  const head = open(store);
  if (head === undefined) return { claims: [] };
  const claims = claim(store, head, input);
  save(store, head);
  return { claims };
}

function settle(store: Store, input: SettleInput): { settled: boolean; delivery?: DeliveryView } {
  const head = open(store);
  if (head === undefined || !settleDelivery(store, head, input)) return { settled: false };
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
