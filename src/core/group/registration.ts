import { decode, encode } from "../host.js";
import { nextNumber } from "../numbers.js";
import { forgetDead, MAX_OUTBOX, pendingKeys, type Targets } from "../outbox/deliveries.js";
import { amendOp, recallOp, recentOps, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import { MAX_CALLS } from "./acks.js";
import { applyParentsCancel, PARENTS_CANCEL } from "./cancellation.js";
import { count, markOf, mayCount, memberOf } from "./counting.js";
import { owedMembers, TAKER } from "./delivering.js";
import { dropEarlyFailures, type EarlyAck, type EarlyHead, earlyAcksOf, keepEarly, noEarlyAcks } from "./early-acks.js";
import { applyPolicy, arm, type Group, openAny, save } from "./group.js";
import { type Announced, type Announcement, announce, type GrowthRefusal } from "./growth.js";
import { listed, MAX_INDEXED_EPOCHS, ONLY } from "./indexed.js";
import {
  type GroupHead,
  isOpen,
  isSealed,
  numbered,
  type Parent,
  type Policy,
  type Registration,
  readRegistration,
} from "./record.js";
import { clearStages, countsOf, noStages, viewStages } from "./stages.js";
import { markName, OF_A_MARK, operationsOf } from "./task-set.js";
import { type GroupView, viewOf } from "./view.js";

export interface RegisterInput extends Announcement {
  op: string;
  /** A digest of what makes two registrations the same: the tasks, the policy, the durable targets. */
  fingerprint: string;
  request?: boolean;
  grows?: boolean;
  kind: GroupHead["kind"];
  /** How many tasks there are, where they are indexed or only counted; else 0: the lists say it. */
  total: number;
  /** 0: no deadline. */
  timeoutMs: number;
  idleMs?: number;
  ttlMs: number;
  deliveryId: string;
  policy?: Policy;
  targets?: Targets;
  parent?: Parent;
  metadata?: string;
  restart?: Restart;
  /** The caller's trace context, a W3C traceparent. Its deliveries name it. */
  traceparent?: string | undefined;
}

/** `from`: only if this generation is the current one. `keep`: its successes count in the next one. */
export interface Restart {
  from?: number;
  keep?: "succeeded";
}

export interface RegisterOutput {
  outcome: "created" | "exists" | "conflict" | "restart_lost" | "outbox_full" | "epochs_full" | "removed" | "refused";
  refused?: GrowthRefusal;
  view?: GroupView;
}

/** How many operations that made a generation are known. */
const KNOWN_OPS = 8;
/** After so many uses of one record within a minute of each removal, its marks go. */
const MAX_USES = 8;

/**
 * Registers a group. The same registration again changes nothing. Another one is a conflict, unless it restarts: then a new
 * generation begins, and earlier deliveries that are still pending stay in the outbox.
 */
export function register(store: Store, input: RegisterInput): RegisterOutput {
  const group = openAny(store);
  const restart = input.restart;
  if (group === undefined || group.head.removedAtMs !== undefined) {
    if (group !== undefined && readRegistration(store).ops.includes(input.op)) return { outcome: "removed" };
    if (restart?.from !== undefined) return { outcome: "restart_lost" };
    return created(store, input, group === undefined ? begin(store, input) : beginAfterRemoval(group, input));
  }
  const { head } = group;
  const view = viewOf(store, head);
  const { fingerprint, ops, from } = readRegistration(store);
  if (ops.includes(input.op)) return { outcome: "exists", view };
  if (restart !== undefined || !isAbandoned(head)) {
    const isSameRestart = restart === undefined || (restart.from !== undefined && restart.from === from);
    if (fingerprint === input.fingerprint && isSameRestart) {
      join(group, input.op);
      return { outcome: "exists", view };
    }
    if (restart === undefined) return { outcome: "conflict", view };
    if (restart.from !== undefined && restart.from !== head.generation) return { outcome: "restart_lost", view };
  }
  forgetDead(head, store.nowMs);
  if (pendingKeys(head).length >= MAX_OUTBOX) return { outcome: "outbox_full", view };
  if (restart?.keep === undefined) return created(store, input, begin(store, input, group));
  if (head.kind !== input.kind || head.request !== input.request) return { outcome: "conflict", view };
  if (head.kind === "indexed" && head.epoch + 1 >= MAX_INDEXED_EPOCHS) return { outcome: "epochs_full", view };
  return created(store, input, continueInPlace(group, input));
}

/** How many callers of one request are remembered. With more, it cannot be abandoned. */
export const MAX_CALLERS = 16;

/** The last caller of a request failed: the next registration begins anew. */
const isAbandoned = ({ callers }: GroupHead): boolean => callers !== undefined && callers.length === 0;

/** Remembers another caller of a request that can still be abandoned. */
function join(group: Group, op: string): void {
  const { callers } = group.head;
  if (callers === undefined || !isOpen(group.head) || isSealed(group.head)) return;
  if (callers.includes(op) || callers.length > MAX_CALLERS || recallOp(group.store, op) !== undefined) return;
  // No call has the empty name, so the list never becomes empty again.
  callers.push(callers.length === MAX_CALLERS ? "" : op);
  rememberOp(group.store, operationsOf(group.head), op, "");
  arm(group);
}

/** A new generation: its head is made, and nothing of it is announced or counted yet. */
interface Beginning {
  group: Group;
  /** Early acks in the order of their arrival, with the tasks that follow them. */
  early: { ack: EarlyAck; next: string | undefined }[];
}

/** Announces the tasks, counts what came early, and saves the new generation. */
function created(store: Store, input: RegisterInput, { group, early }: Beginning): RegisterOutput {
  const { head } = group;
  let refused = refusalOf(announce(group, input));
  for (const { ack, next } of early) {
    if (refused === undefined) refused = takeIn(group, ack, next);
  }
  if (refused !== undefined) {
    store.discard();
    return { outcome: "refused", refused };
  }
  store.tell({ type: "registered", generation: head.generation, total: head.total });
  if (isOpen(head)) applyPolicy(group, true, "register");
  applyParentsCancel(group, input.parent);
  save(group);
  store.notify();
  return { outcome: "created", view: viewOf(store, head) };
}

/** Counts an early ack, and announces what follows it; keeps it where its task may still be announced. */
function takeIn(group: Group, ack: EarlyAck, next: string | undefined): GrowthRefusal | undefined {
  const { store, head } = group;
  const { untilMs: _, ...early } = ack;
  if (!isOpen(head) || memberOf(head, early) === undefined) return undefined;
  const mark = markOf(group, early);
  if (mark.state === "open" && mayCount(head)) {
    count(group, early, early.op);
    if (head.kind === "indexed") rememberCounted(store, head, early);
    // A closed group takes no next tasks.
    if (next === undefined || head.grows !== true || !isOpen(head)) return undefined;
    return refusalOf(announce(group, decode<Announcement>(next)));
  }
  if (mark.state !== "absent" || head.grows !== true) return undefined;
  head.early ??= noEarlyAcks();
  if (next !== undefined) {
    head.nexts = (head.nexts ?? 0) + 1;
    early.next = numbered("n", head.nexts);
    store.set(early.next, next);
  }
  keepEarly(store, { acks: head.early, name: markName(early), mark, epoch: head.epoch }, early);
  return undefined;
}

/**
 * Marks of indexed tasks name no call: the recent operations alone recognise a late copy of this one. Other tasks of the
 * call may have expired, so the tasks are listed that counted.
 */
function rememberCounted(store: Store, head: GroupHead, { op, id }: EarlyAck): void {
  const before = recallOp(store, op);
  if (before === undefined) rememberOp(store, operationsOf(head), op, `${ONLY}${listed(id)}`, { most: MAX_CALLS });
  else amendOp(store, op, `${before}${listed(id)}`);
}

function refusalOf(announced: Announced): GrowthRefusal | undefined {
  return "refused" in announced ? announced.refused : undefined;
}

/** Begins with an empty record. Deliveries that the generation before still owes stay. */
function begin(store: Store, input: RegisterInput, before?: Group): Beginning {
  const early = before === undefined ? readEarly(store) : [];
  const registration = before === undefined ? undefined : readRegistration(store);
  const carried = before === undefined ? [] : readMembers(store, owedMembers(store, before.head));
  const parentsCancel = store.get(PARENTS_CANCEL);
  const calls = before === undefined ? [] : recentCalls(before);
  store.clear();
  for (const [name, value] of carried) store.set(name, value);
  if (parentsCancel !== undefined) store.set(PARENTS_CANCEL, parentsCancel);
  const head = newHead(store, input, before?.head);
  for (const { op, answer } of calls) rememberOp(store, operationsOf(head), op, answer);
  writeRegistration(store, input, registration);
  return { group: { store, head, stages: noStages() }, early };
}

/**
 * The calls that added, sealed, counted, retried or extended within the last minute: a late copy of one changes nothing in
 * the next generation. Acks are not among them, nor are decrements, whose ids the next generation may use again.
 */
function recentCalls({ store, head }: Group): { op: string; answer: string }[] {
  const calls: { op: string; answer: string }[] = [];
  if (head.kind !== "named" || head.operations === undefined) return calls;
  for (const call of recentOps(store, head.operations)) {
    if (call.answer !== OF_A_MARK) calls.push(call);
  }
  return calls;
}

/** Begins after a removal: the marks stay for a minute, and none of them counts. */
function beginAfterRemoval({ store, head: before }: Group, input: RegisterInput): Beginning {
  const group: Group = { store, head: before, stages: noStages() };
  if (before.epoch + 1 >= MAX_USES || before.kind === "indexed" || input.kind === "indexed")
    return begin(store, input, group);
  const head = newHead(store, input, before);
  head.epoch = before.epoch + 1;
  head.since = head.epoch;
  if (before.operations !== undefined) head.operations = before.operations;
  // The members of the use before are still there: their numbers are not used again.
  if (before.nexts !== undefined) head.nexts = before.nexts;
  clearStages(store);
  forgetOwn(store);
  writeRegistration(store, input, readRegistration(store));
  return { group: { store, head, stages: noStages() }, early: [] };
}

/** Restarts and keeps what has succeeded: the marks stay, and those of failures are open again. */
function continueInPlace({ store, head }: Group, input: RegisterInput): Beginning {
  const next = newHead(store, input, head);
  next.epoch = head.epoch + 1;
  next.since = head.since;
  next.chainedFrom = head.chainedFrom ?? head.generation;
  next.total = head.kind === "named" ? head.total : input.total;
  next.succeeded = head.succeeded;
  for (const field of ["lists", "results", "errors"] as const) next[field] = head[field];
  next.errorsFrom = head.errors;
  if (head.nexts !== undefined) next.nexts = head.nexts;
  if (head.children !== undefined) {
    next.children = head.children;
    // The end must cancel them, even if no call comes any more.
    next.isTimed = true;
  }
  if (head.staged === true) next.staged = true;
  if (head.operations !== undefined) next.operations = head.operations;
  if (head.early !== undefined) {
    next.early = head.early;
    dropEarlyFailures(next.early);
  }
  const stages = noStages();
  for (const { stage } of viewStages(store)) countsOf(store, stages, stage)!.failed = 0;
  forgetOwn(store);
  writeRegistration(store, input, readRegistration(store));
  return { group: { store, head: next, stages }, early: [] };
}

/** Removes what belongs to one generation alone: its metadata, and the process that took its plain function. */
function forgetOwn(store: Store): void {
  store.remove("meta");
  store.remove(TAKER);
}

function newHead(store: Store, input: RegisterInput, before: GroupHead | undefined): GroupHead {
  const head: GroupHead = {
    state: "open",
    generation: nextNumber(store, before === undefined ? 0 : before.generation),
    changes: 0,
    epoch: 0,
    since: 0,
    kind: input.kind,
    total: input.total,
    succeeded: 0,
    failed: 0,
    lists: 0,
    results: 0,
    errors: 0,
    registeredAtMs: store.nowMs,
    ttlMs: input.ttlMs,
    touchedAtMs: store.nowMs,
  };
  if (input.request === true) {
    head.request = true;
    head.callers = [input.op];
  }
  if (input.grows === true) head.grows = true;
  if (input.policy !== undefined) head.policy = input.policy;
  if (input.timeoutMs > 0) head.deadlineAtMs = store.nowMs + input.timeoutMs;
  if (input.idleMs !== undefined) head.idleMs = input.idleMs;
  const { timeout, failure, end } = input.targets ?? {};
  if ((timeout ?? failure ?? end ?? input.parent) !== undefined) head.isTimed = true;
  if (input.parent !== undefined) head.hasParent = true;
  if (before?.outbox !== undefined) head.outbox = before.outbox;
  return head;
}

function writeRegistration(store: Store, input: RegisterInput, before: Registration | undefined): void {
  const ops = [...(before?.ops ?? []), input.op];
  if (ops.length > KNOWN_OPS) ops.shift();
  const registration: Registration = { fingerprint: input.fingerprint, ops, deliveryId: input.deliveryId };
  if (before?.removals !== undefined) registration.removals = before.removals;
  if (input.restart?.from !== undefined) registration.from = input.restart.from;
  if (input.targets !== undefined) registration.targets = input.targets;
  if (input.parent !== undefined) registration.parent = input.parent;
  if (input.traceparent !== undefined) registration.traceparent = input.traceparent;
  store.set("reg", encode(registration));
  if (input.metadata !== undefined) store.set("meta", input.metadata);
}

function readEarly(store: Store): Beginning["early"] {
  const head = store.head<EarlyHead>();
  const early: Beginning["early"] = [];
  if (head === undefined) return early;
  for (const ack of earlyAcksOf(store, head.early)) {
    const { next, ...rest } = ack;
    early.push({ ack: rest, next: next === undefined ? undefined : store.get(next) });
  }
  return early;
}

function readMembers(store: Store, names: readonly string[]): [string, string][] {
  const members: [string, string][] = [];
  for (const name of names) {
    const value = store.get(name);
    if (value !== undefined) members.push([name, value]);
  }
  return members;
}
