import { decode, encode, formatInteger } from "../platform.js";
import type { Store } from "../store.js";
import {
  type Claim,
  claim,
  type DeliveryView,
  deliveryMembers,
  describe,
  enqueue,
  MAX_OUTBOX,
  nextDueMs,
  type OutboxHead,
  OWED_MS,
  owedGenerations,
  owedUntilMs,
  redeliverAll,
  type SettleInput,
  settle as settleDelivery,
  type Target,
  type Targets,
  type WokenInput,
} from "./delivery.js";

/**
 * A fan-out joins: a group of tasks ends once, when all were acked, or at its deadline, or when somebody cancels it.
 *
 * An ack is membership in a set. The member `t:TASK` holds "" while a named task is open, and afterwards the id of the
 * call that counted it: the retry of that call is told the same again. While the group is not registered, it names the
 * early ack's line. Other members: `y:N` early acks, `e:N` errors, `r:N` results, `x:OP` anonymous decrements, `meta`,
 * `targets`, and the outbox's.
 */

/** Where a group stands; anything but `open` is final. */
export type GroupState = "open" | "completed" | "failed" | "timed_out" | "cancelled";
/** What became of an ack; `AckResult` of the tracker tells them apart. */
export type Verdict = "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";

/** How many errors are kept word by word; the count goes on. */
export const MAX_ERRORS = 100;
/** How many acks of one group may come before its registration. */
export const MAX_EARLY = 10_000;
/** How many of them may bring a result or an error: a registration counts them all in one step. */
export const MAX_EARLY_BODIES = 1_000;

interface GroupHead extends OutboxHead {
  state: GroupState | "unregistered";
  /** How many early acks were kept, in `y:1` and on, and until when the last of them counts. */
  early: number;
  earlyUntilMs: number;
  /** How many of them bring a result or an error. */
  earlyBodies: number;
  generation: number;
  /** The calls that made the last generations, this one's at the end, and the generation that it restarted. */
  ops: string[];
  from?: number;
  /** The last call that had deliveries queued again. */
  redeliverOp?: string;
  spec: string;
  named: boolean;
  total: number;
  succeeded: number;
  failed: number;
  results: number;
  /** What is still needed for success. Decided with `≤ 0`: one step may pass zero. */
  need: number;
  deadlineAtMs?: number;
  ttlMs: number;
  refreshedAtMs: number;
  deliveryId: string;
  /** Its timeout has a target. */
  owes: boolean;
  reason?: string;
  /** What the end was decided by: a member's name. */
  endedBy?: string;
  /** The instance that runs the plain function of this generation. */
  taker?: string;
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

export interface RegisterInput {
  op: string;
  /** A digest of what makes the registration the same one: tasks or total, policy, durable targets. */
  spec: string;
  total: number;
  /** The ids, all different, `total` of them; absent for tasks without a list. */
  tasks?: string[];
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

export interface TaskAck {
  id: string;
  /** JSON text. */
  result?: string;
  error?: string;
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

interface EarlyAck extends TaskAck {
  op: string;
  /** When it stops counting. */
  untilMs: number;
}

/** Of how many generations the calls that made them are remembered. */
const REMEMBERED_OPS = 8;

const taskName = (id: string): string => `t:${id}`;
/** The mark of a task that counted: never "", whatever the call's id. */
const countedBy = (op: string): string => `.${op}`;
const numbered = (list: string, n: number): string => `${list}:${formatInteger(n)}`;

// ---- The record as every step finds and leaves it ----

/** The group, with its deadline applied: an open group past its deadline has ended, whoever looks first. */
function open(store: Store): GroupHead | undefined {
  const head = store.head<GroupHead>();
  if (head === undefined) return undefined;
  if (head.state === "open" && head.deadlineAtMs !== undefined && head.deadlineAtMs <= store.nowMs) {
    end(store, head, "timed_out", "deadline");
    save(store, head);
  }
  return head;
}

/** Stores the head and re-arms timer and TTL from the state, so that no step can forget either. */
function save(store: Store, head: GroupHead): void {
  const isOpen = head.state === "open";
  const dueMs = nextDueMs(head);
  let wakeAtMs = dueMs;
  /** The last instant at which somebody may need the record. */
  let neededMs = store.nowMs;
  if (isOpen && head.deadlineAtMs !== undefined) {
    neededMs = head.deadlineAtMs + (head.owes ? OWED_MS : 0);
    if (wakeAtMs === undefined || head.deadlineAtMs < wakeAtMs) wakeAtMs = head.deadlineAtMs;
  } else if (isOpen && store.nowMs - head.refreshedAtMs < head.ttlMs / 4) {
    neededMs = head.refreshedAtMs;
  } else {
    head.refreshedAtMs = store.nowMs;
  }
  // What is owed outlives the rest: where nothing rings by itself it waits for whoever drains, and a dead letter for help.
  const owedMs = owedUntilMs(head);
  if (owedMs !== undefined && owedMs > neededMs) neededMs = owedMs;
  store.put(head);
  store.wakeAt(wakeAtMs);
  store.keepUntil(neededMs + head.ttlMs);
}

function end(store: Store, head: GroupHead, state: GroupState, endedBy: string, reason?: string): void {
  head.state = state;
  head.endedBy = endedBy;
  head.refreshedAtMs = store.nowMs;
  if (reason !== undefined) head.reason = reason;
  const text = store.get("targets");
  if (text !== undefined) {
    const targets = decode<Targets>(text);
    let own: Target | undefined;
    if (state === "completed") own = targets.complete;
    else if (state === "timed_out") own = targets.timeout;
    const target = own ?? targets.end;
    if (target !== undefined) {
      const snapshot = encode(viewOf(store, head));
      enqueue(store, head, {
        generation: head.generation,
        id: head.deliveryId,
        type: `group.${state}`,
        target,
        snapshot,
      });
    }
  }
  store.notify();
}

function remainingOf(head: GroupHead): number {
  const remaining = head.total - head.succeeded - head.failed;
  return remaining > 0 ? remaining : 0;
}

function viewOf(store: Store, head: GroupHead): GroupView {
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
    state: head.state as GroupState,
    total: head.total,
    succeeded: head.succeeded,
    failed: head.failed,
    remaining: remainingOf(head),
    errors,
    delivery: describe(store, head.generation),
  };
  if (head.reason !== undefined) view.reason = head.reason;
  if (head.deadlineAtMs !== undefined) view.deadlineAtMs = head.deadlineAtMs;
  const metadata = store.get("meta");
  if (metadata !== undefined) view.metadata = metadata;
  return view;
}

/** The view of a group that was registered; early acks alone are not a group. */
function registered(head: GroupHead | undefined): head is GroupHead {
  return head !== undefined && head.state !== "unregistered";
}

// ---- Counting ----

/** Counts a task that is known not to have counted before, and ends the group when nothing more is needed. */
function count(store: Store, head: GroupHead, task: TaskAck, op: string): void {
  store.set(taskName(task.id), countedBy(op));
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
  head.need -= 1;
  if (head.need <= 0) end(store, head, "completed", taskName(task.id));
}

function verdictOf(store: Store, head: GroupHead, task: TaskAck, input: AckInput): Verdict {
  const mark = store.get(taskName(task.id));
  if (input.generation !== undefined && input.generation !== head.generation) return "unknown";
  if (mark === undefined && head.named) return "unknown";
  if (mark !== undefined && mark !== "") return mark === countedBy(input.op) ? "accepted" : "duplicate";
  if (head.state === "cancelled") return "cancelled";
  if (head.state !== "open") return "late";
  count(store, head, task, input.op);
  return "accepted";
}

// ---- Early acks ----

function keepEarly(store: Store, task: TaskAck, input: AckInput): Verdict {
  if (input.generation !== undefined) return "unknown";
  const head = store.head<GroupHead>() ?? unregistered();
  const mark = store.get(taskName(task.id));
  if (mark === undefined) {
    const hasBody = task.result !== undefined || task.error !== undefined;
    if (head.early >= MAX_EARLY || (hasBody && head.earlyBodies >= MAX_EARLY_BODIES)) return "unknown";
    head.early += 1;
    if (hasBody) head.earlyBodies += 1;
  }
  const name = mark === undefined ? numbered("y", head.early) : mark;
  const untilMs = store.nowMs + input.earlyTtlMs;
  const before = mark === undefined ? undefined : readEarly(store, name);
  // What was said first stands, as it does for a registered group; only its time is prolonged.
  const early: EarlyAck = before ?? { id: task.id, op: input.op, untilMs };
  if (before === undefined) {
    if (task.result !== undefined) early.result = task.result;
    if (task.error !== undefined) early.error = task.error;
  }
  early.untilMs = untilMs;
  store.set(taskName(task.id), name);
  store.set(name, encode(early));
  if (untilMs > head.earlyUntilMs) head.earlyUntilMs = untilMs;
  store.put(head);
  store.keepUntil(head.earlyUntilMs);
  return "early";
}

/** An early ack that still counts. */
function readEarly(store: Store, name: string): EarlyAck | undefined {
  const text = store.get(name);
  if (text === undefined) return undefined;
  const early = decode<EarlyAck>(text);
  return early.untilMs > store.nowMs ? early : undefined;
}

function unregistered(): GroupHead {
  return {
    state: "unregistered",
    early: 0,
    earlyUntilMs: 0,
    earlyBodies: 0,
    generation: 0,
    ops: [],
    spec: "",
    named: false,
    total: 0,
    succeeded: 0,
    failed: 0,
    results: 0,
    need: 0,
    ttlMs: 0,
    refreshedAtMs: 0,
    deliveryId: "",
    owes: false,
    due: [],
    dead: [],
  };
}

// ---- Transitions ----

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
  head.named = input.tasks !== undefined;
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

  for (const ack of early) {
    const mark = store.get(taskName(ack.id));
    if (head.state === "open" && (mark !== undefined || !head.named)) count(store, head, ack, ack.op);
  }
  if (head.state === "open" && head.need <= 0) end(store, head, "completed", "register");
  save(store, head);
  store.notify();
  return viewOf(store, head);
}

function takeEarly(store: Store, head: GroupHead): EarlyAck[] {
  const names: string[] = [];
  for (let n = 1; n <= head.early; n++) names.push(numbered("y", n));
  store.load(names);
  const acks: EarlyAck[] = [];
  for (const name of names) {
    const early = readEarly(store, name);
    if (early !== undefined) acks.push(early);
  }
  return acks;
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

function ack(store: Store, input: AckInput): { results: AckResult[]; view?: GroupView } {
  store.load(input.tasks.map((task) => taskName(task.id)));
  const head = open(store);
  const results: AckResult[] = [];
  if (!registered(head)) {
    for (const task of input.tasks) {
      results.push({ verdict: keepEarly(store, task, input), state: "unregistered", ended: false });
    }
    return { results };
  }
  const counted = head.succeeded + head.failed;
  const seen: Record<string, boolean | undefined> = {};
  for (const task of input.tasks) {
    const name = taskName(task.id);
    const verdict = seen[name] === true ? "duplicate" : verdictOf(store, head, task, input);
    seen[name] = true;
    const ended = verdict === "accepted" && head.endedBy === name;
    const state = head.state as GroupState;
    results.push({ verdict, state, ended, remaining: remainingOf(head), generation: head.generation });
  }
  if (head.succeeded + head.failed > counted) save(store, head);
  return input.view === true ? { results, view: viewOf(store, head) } : { results };
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
