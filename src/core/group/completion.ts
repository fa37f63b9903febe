import { decode } from "../host.js";
import { recheckGroupMs, renew, touch } from "../lifetime.js";
import {
  type Claimed,
  claim,
  type SettleInput,
  settle as settleDelivery,
  type WokenInput,
} from "../outbox/attempts.js";
import { type DeliveryView, describe, redeliverAll } from "../outbox/deliveries.js";
import { readPage } from "../page.js";
import { answerName, emptyRing, recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import { keepEarly } from "./early-acks.js";
import {
  count,
  end,
  type GroupHead,
  type GroupState,
  type GroupView,
  open,
  remainingOf,
  save,
  viewOf,
} from "./record.js";
import { register } from "./registration.js";
import { expectedMarks, loadMarks, markOf, rememberCall, type TaskAck, taskName, type Verdict } from "./task-set.js";

/** The transitions of a group. Each is atomic. */

/**
 * How many decrements of a group are remembered, so that the record does not grow without limit. The last 1,000 are
 * certain: a full ring drops four at once.
 */
export const MAX_DECREMENTS = 1_004;

export interface AckInput {
  op: string;
  tasks: TaskAck[];
  generation?: number;
  earlyTtlMs: number;
  /** Also returns the group's status. */
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
  if (mark === undefined || !isMeant(head, input)) return "unknown";
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

/** The verdict of a task that appears twice in one call. */
function again(verdict: Verdict): Verdict {
  return verdict === "accepted" ? "duplicate" : verdict;
}

export interface DecrementInput {
  op: string;
  by: number;
  generation?: number;
}

/**
 * Counts tasks without names. Only the op id keeps a repeated call from counting again. So the group remembers its last
 * `MAX_DECREMENTS` operations, each for the group's TTL.
 */
function decrement(store: Store, input: DecrementInput): { remaining?: number; refused?: "named" } {
  const head = open(store);
  if (head === undefined || !isMeant(head, input)) return {};
  if (head.named) return { refused: "named" };
  const ring = head.decrements ?? emptyRing();
  if (head.state !== "open" || recallOp(store, input.op, ring) !== undefined) return { remaining: remainingOf(head) };
  rememberOp(store, ring, input.op, "", { most: MAX_DECREMENTS, keptMs: head.ttlMs });
  head.decrements = ring;
  touch(store, head);
  head.succeeded += Math.min(input.by, remainingOf(head));
  if (remainingOf(head) <= 0) end(store, head, "completed", "decrement");
  save(store, head);
  return { remaining: remainingOf(head) };
}

/** Whether the stored group has the generation that the call names. A call without a generation means the stored group. */
function isMeant(head: GroupHead, input: { generation?: number }): boolean {
  return input.generation === undefined || input.generation === head.generation;
}

function cancel(store: Store, input: { reason: string; generation?: number }): { view?: GroupView } {
  const head = open(store);
  if (head === undefined) return {};
  if (head.state === "open" && isMeant(head, input)) {
    end(store, head, "cancelled", "cancel", input.reason);
    save(store, head);
  }
  return { view: viewOf(store, head) };
}

function status(store: Store, _input: object): { view?: GroupView } {
  const head = open(store);
  return head !== undefined ? { view: viewOf(store, head) } : {};
}

export interface WaitInput {
  generation?: number;
  /** A background wait. Its looks do not extend the group's idle timeout. */
  background?: boolean;
}

/**
 * The output that a wait polls: ready once the group has ended. An unknown group is not ready, because a caller may
 * still register it. A wait for one generation is ready too once the record holds another generation, or none.
 */
function wait(
  store: Store,
  input: WaitInput,
): { ready: boolean; version: number; recheckInMs?: number; view?: GroupView } {
  const head = open(store);
  // Generations start at the server's time, so a group that is registered later is not older.
  if (head === undefined) return { ready: input.generation !== undefined, version: store.nowMs };
  const version = head.generation;
  if (!isMeant(head, input)) return { ready: true, version };
  if (head.state !== "open") return { ready: true, version, view: viewOf(store, head) };
  const renews = input.background !== true;
  if (renews && renew(store, head)) save(store, head);
  return { ready: false, version, recheckInMs: recheckGroupMs(store, head, renews) };
}

/** Returns results in the order of their acks, starting after `after`: at most `limit` of them, and at most one page. */
function results(
  store: Store,
  input: { after: number; limit: number; bytes?: number },
): { found: boolean; items: { taskId: string; result: string }[]; next?: number } {
  const head = open(store);
  if (head === undefined) return { found: false, items: [] };
  const to = Math.min(input.after + input.limit, head.results) + 1;
  const page = readPage(store, { letter: "r", from: input.after + 1, to, bytes: input.bytes });
  const items: { taskId: string; result: string }[] = [];
  for (const text of page) {
    if (text !== undefined) items.push(decode<{ taskId: string; result: string }>(text));
  }
  const last = input.after + page.length;
  return last < head.results ? { found: true, items, next: last } : { found: true, items };
}

/** Several instances may hold a plain function for this generation. The first to take it runs it. */
function take(store: Store, input: { op: string; generation: number }): { taken: boolean } {
  const head = open(store);
  if (head === undefined || head.generation !== input.generation || head.state === "open") return { taken: false };
  if (store.get("taker") === undefined) {
    store.set("taker", input.op);
    save(store, head);
  }
  return { taken: store.get("taker") === input.op };
}

function redeliver(store: Store, input: { op: string; generation?: number }): { view?: GroupView } {
  const head = open(store);
  if (head === undefined) return {};
  if (isMeant(head, input) && store.get("redelivered") !== input.op) {
    store.set("redelivered", input.op);
    touch(store, head);
    redeliverAll(store, head, head.generation);
    save(store, head);
  }
  return { view: viewOf(store, head) };
}

/** Runs when the group's timer fires: applies the timeout, claims due deliveries, and sets the next timer from the state. */
function woken(store: Store, input: WokenInput): Claimed {
  const head = open(store);
  if (head === undefined) return { claims: [] };
  const claimed = claim(store, head, input);
  save(store, head);
  return claimed;
}

function settle(store: Store, input: SettleInput): { settled: boolean; delivery?: DeliveryView } {
  const head = open(store);
  if (head === undefined || !settleDelivery(store, head, input)) return { settled: false };
  save(store, head);
  return { settled: true, delivery: describe(store, head, input.generation) };
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

const expectedOfAck = ({ tasks }: AckInput): string[] => expectedMarks(tasks);
const expectedOfDecrement = ({ op }: { op: string }): string[] => [answerName(op)];

/**
 * The members that a transition probably reads. Redis reads them with the head in one command. The saved command pays
 * for the write to the due queue that each write makes.
 */
export const expected = { ack: expectedOfAck, decrement: expectedOfDecrement };
