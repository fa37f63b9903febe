import { encode } from "../host.js";
import { recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import { count, keepError, markOf, mayCount, memberOf } from "./counting.js";
import { type EarlyAck, type EarlyHead, keepEarly, noEarlyAcks, noEarlyHead } from "./early-acks.js";
import { applyPolicy, type Group, openGroup, save, touch } from "./group.js";
import { type Announcement, announce, type GrowthRefusal, isOther } from "./growth.js";
import { listed, ONLY } from "./indexed.js";
import { type GroupHead, type GroupState, hasNoOpenTask, isOpen, leftOf, numbered, type TaskAck } from "./record.js";
import { countsOf, MAX_COUNT } from "./stages.js";
import { markName, operationsOf, readMark } from "./task-set.js";
import { type GroupView, type StoredError, viewOf } from "./view.js";

/**
 * The verdict of an ack. `accepted`: it counted, now or by the first copy of this call. `duplicate`: the task had settled.
 * `early`: the task is not announced yet, and the ack is kept. `late`: the group had ended. `cancelled`: it was cancelled.
 * `unknown`: no such task or generation, or no room for early acks.
 */
export type Verdict = "accepted" | "duplicate" | "early" | "late" | "cancelled" | "unknown";

export type AckRefusal = GrowthRefusal | "counts";

export interface AckInput {
  op: string;
  tasks: TaskAck[];
  generation?: number;
  /** How long an ack of an unregistered group is kept. 0: it is not kept. */
  earlyTtlMs: number;
  /** Announced in the same step, if a task of the call counts. */
  next?: Announcement;
  /** Also answer the status of the group. */
  view?: boolean;
  /** The caller's trace context, a W3C traceparent. Stored only if the call ends the group. */
  traceparent?: string | undefined;
}

export interface AckLine {
  verdict: Verdict;
  state: GroupState | "unregistered";
  /** This ack ended the group. */
  ended: boolean;
  remaining?: number;
  generation?: number;
  /** A request without an open task, once this task was counted. */
  complete?: boolean;
}

export interface AckOutput {
  results: AckLine[];
  /** A limit was reached: nothing of the call was written. */
  refused?: AckRefusal;
  view?: GroupView;
}

/** How many calls an indexed group remembers. Its marks have no room for an operation. */
export const MAX_CALLS = 10_000;
/**
 * How many decrements of a group are remembered, so that the record does not grow without limit. The last 1,000 are
 * certain: a full ring drops four at once.
 */
export const MAX_DECREMENTS = 1_004;

/** Settles tasks. A task counts once; each copy of the call is answered as the first was. */
export function ack(store: Store, input: AckInput): AckOutput {
  const group = openGroup(store);
  if (group === undefined) return ackUnregistered(store, input);
  const { head } = group;
  if (input.next !== undefined && head.grows !== true) return { results: [], refused: "closed" };
  const names: string[] = [];
  for (const task of input.tasks) names.push(memberOf(head, task) ?? "");
  store.load(names.filter((name) => name !== ""));
  const call: AckCall = { input, verdicts: [], seen: {}, others: "", lastCounted: "", hasEarly: false };
  for (const task of input.tasks) call.verdicts.push(verdictOnce(group, task, call));
  const refused = finishCall(group, call);
  if (refused !== undefined) {
    store.discard();
    return { results: [], refused };
  }
  const results: AckLine[] = [];
  for (let i = 0; i < input.tasks.length; i++) results.push(lineOf(head, input.tasks[i]!, call.verdicts[i]!));
  return input.view === true ? { results, view: viewOf(store, head) } : { results };
}

/** The work of one call so far. */
interface AckCall {
  input: AckInput;
  verdicts: Verdict[];
  /** The verdict of each member that the call has named. */
  seen: Record<string, Verdict | undefined>;
  /** The tasks that did not count, as the operations of an indexed group remember them. */
  others: string;
  /** The name of the task that counted last; "" for none. */
  lastCounted: string;
  hasEarly: boolean;
}

/** A task that one call names twice counts once. */
function verdictOnce(group: Group, task: TaskAck, call: AckCall): Verdict {
  const name = markName(task);
  const before = call.seen[name];
  if (before !== undefined) return before === "accepted" ? "duplicate" : before;
  const verdict = verdictOf(group, task, call);
  call.seen[name] = verdict;
  if (verdict !== "accepted") call.others = `${call.others}${listed(task.id)}`;
  return verdict;
}

function verdictOf(group: Group, task: TaskAck, call: AckCall): Verdict {
  const { store, head } = group;
  const { op, generation } = call.input;
  if (generation !== undefined && !isOfChain(head, generation, task)) return "unknown";
  if (memberOf(head, task) === undefined) return "unknown";
  const mark = markOf(group, task);
  // The first copy of this call has settled the task: now, or before the task was opened again.
  if (mark.op === op) return mark.isEarly === true ? "early" : "accepted";
  if (mark.state === "succeeded" || mark.state === "failed") {
    return head.kind === "indexed" && hasCounted(store, op, task.id) ? "accepted" : "duplicate";
  }
  // A closed group takes its listed tasks alone, whatever an open one before it has kept.
  if (mark.state !== "open" && head.grows !== true) return "unknown";
  if (head.state === "cancelled") return "cancelled";
  if (!isOpen(head) || !mayCount(head)) return "late";
  if (mark.state !== "open") return keepInGroup(group, task, call);
  if ((mark.op !== "" || head.kind === "indexed") && hasCounted(store, op, task.id)) return "accepted";
  if (task.stage !== undefined && countsOf(store, group.stages, task.stage) === undefined) return "unknown";
  count(group, task, op);
  call.lastCounted = markName(task);
  return "accepted";
}

/** A success counts if it names this generation, or an earlier one that this one has restarted in place. */
function isOfChain(head: GroupHead, generation: number, task: TaskAck): boolean {
  if (generation === head.generation) return true;
  const isEarlier = generation < head.generation && generation >= (head.chainedFrom ?? head.generation);
  return isEarlier && task.error === undefined;
}

/** Returns whether a recent operation has settled this task, though its mark does not say so any more. */
function hasCounted(store: Store, op: string, id: string): boolean {
  const answer = recallOp(store, op);
  return answer !== undefined && answer.includes(listed(id)) === answer.startsWith(ONLY);
}

function keepInGroup(group: Group, task: TaskAck, call: AckCall): Verdict {
  const { store, head } = group;
  const name = markName(task);
  head.early ??= noEarlyAcks();
  const early = earlyOf(task, call.input, head.nexts ?? 0);
  const place = { acks: head.early, name, mark: readMark(store, head, name), epoch: head.epoch };
  if (!keepEarly(store, place, early)) return "unknown";
  call.hasEarly = true;
  return "early";
}

function earlyOf(task: TaskAck, input: AckInput, nexts: number): EarlyAck {
  const early: EarlyAck = { id: task.id, op: input.op };
  if (task.stage !== undefined) early.stage = task.stage;
  if (task.result !== undefined) early.result = task.result;
  if (task.error !== undefined) early.error = task.error;
  if (task.brief !== undefined) early.brief = task.brief;
  if (task.processed !== undefined) early.processed = task.processed;
  if (input.next !== undefined) early.next = numbered("n", nexts + 1);
  return early;
}

/** Announces what follows, decides whether the group ends, and saves what has changed. */
function finishCall(group: Group, call: AckCall): AckRefusal | undefined {
  const { store, head } = group;
  const { input } = call;
  const { next, op } = input;
  if (call.lastCounted === "" && !call.hasEarly) return undefined;
  if (next !== undefined && call.hasEarly) {
    head.nexts = (head.nexts ?? 0) + 1;
    // A task that counted announces the `next` of the call now: the early acks leave nothing more to announce.
    if (call.lastCounted === "") store.set(numbered("n", head.nexts), encode(next));
  }
  if (call.lastCounted !== "") {
    if (next !== undefined && isOpen(head)) {
      const announced = announce(group, next);
      if ("refused" in announced) return announced.refused;
      // An early ack among the next tasks has ended the group: by this call.
      if (!isOpen(head)) head.endedBy = call.lastCounted;
    }
    if (group.stages.isOverflown === true) return "counts";
    if (head.kind === "indexed") rememberOp(store, operationsOf(head), op, call.others, { most: MAX_CALLS });
    applyPolicy(group, true, call.lastCounted);
  }
  touch(group);
  traceEnd(group, input);
  save(group);
  return undefined;
}

/** Remembers the trace context of a call that ended the group, for its deliveries. */
function traceEnd({ head }: Group, { traceparent }: { traceparent?: string | undefined }): void {
  if (head.ending !== undefined && traceparent !== undefined) head.ending.traceparent = traceparent;
}

function lineOf(head: GroupHead, task: TaskAck, verdict: Verdict): AckLine {
  const line: AckLine = {
    verdict,
    state: head.state,
    ended: verdict === "accepted" && head.endedBy === markName(task),
    remaining: leftOf(head),
    generation: head.generation,
  };
  if (head.request === true) line.complete = hasNoOpenTask(head);
  return line;
}

/** Keeps acks of a group that is not registered. An ack that names a generation is never early. */
function ackUnregistered(store: Store, input: AckInput): AckOutput {
  const results: AckLine[] = [];
  const head = store.head<EarlyHead>();
  // A removed group takes no early acks: its marks turn late copies away for a minute.
  const isKept =
    input.earlyTtlMs > 0 && input.generation === undefined && (head === undefined || head.state === "early");
  const early = isKept && head !== undefined ? head : noEarlyHead();
  const untilMs = store.nowMs + input.earlyTtlMs;
  const fullBefore = fullUntilMs(early);
  let isChanged = false;
  for (const task of input.tasks) {
    let verdict: Verdict = "unknown";
    if (isKept) {
      const name = markName(task);
      const place = { acks: early.early, name, mark: readMark(store, undefined, name), epoch: 0 };
      const isRoom = keepEarly(store, place, { ...earlyOf(task, input, early.nexts), untilMs });
      if (isRoom) verdict = "early";
      isChanged = isChanged || isRoom;
    }
    results.push({ verdict, state: "unregistered", ended: false });
  }
  if (isChanged) {
    if (input.next !== undefined) {
      early.nexts += 1;
      store.set(numbered("n", early.nexts), encode(input.next));
    }
    if (untilMs > early.untilMs) early.untilMs = untilMs;
    store.put(early);
    store.keepUntil(early.untilMs);
  } else if (fullUntilMs(early) !== fullBefore) {
    // A search that found no room is not made again until an ack expires.
    store.put(early);
  }
  return { results };
}

const fullUntilMs = ({ early: { plain, bodies } }: EarlyHead): number => plain.fullUntilMs + bodies.fullUntilMs;

/** Counts tasks without ids. The operation alone keeps a copy of the call from counting twice. */
export function decrement(
  store: Store,
  input: { op: string; by: number; generation?: number; traceparent?: string | undefined },
): { remaining?: number; refused?: "named" } {
  const group = openGroup(store);
  if (group === undefined || isOther(group, input.generation)) return {};
  const { head } = group;
  if (head.kind !== "counted") return { refused: "named" };
  const operations = operationsOf(head);
  if (!isOpen(head) || recallOp(store, input.op, operations) !== undefined) return { remaining: leftOf(head) };
  head.succeeded += Math.min(input.by, leftOf(head));
  head.lastAckAtMs = store.nowMs;
  rememberOp(store, operations, input.op, "", { most: MAX_DECREMENTS, keptMs: head.ttlMs });
  applyPolicy(group, true, "decrement");
  touch(group);
  traceEnd(group, input);
  save(group);
  return { remaining: leftOf(head) };
}

export interface CountInput {
  op: string;
  stage: string;
  processed?: number;
  requeued?: number;
  error?: string;
  brief?: string;
  generation?: number;
}

export interface CountOutput {
  verdict: Verdict;
  state: GroupState | "unregistered";
  /** A request without an open task. */
  complete?: boolean;
  refused?: AckRefusal;
}

/** Counts what settles no task: work on the way, another try, an error. */
export function countStage(store: Store, input: CountInput): CountOutput {
  const group = openGroup(store);
  if (group === undefined) return { verdict: "unknown", state: "unregistered" };
  const { head } = group;
  const { state } = head;
  const complete = hasNoOpenTask(head);
  if (isOther(group, input.generation)) return { verdict: "unknown", state, complete };
  if (recallOp(store, input.op) !== undefined) return { verdict: "accepted", state, complete };
  if (!isOpen(head)) return { verdict: state === "cancelled" ? "cancelled" : "late", state, complete };
  const counts = countsOf(store, group.stages, input.stage);
  if (counts === undefined) return { verdict: "unknown", state, refused: "stages" };
  head.staged = true;
  counts.processed += input.processed ?? 0;
  counts.requeued += input.requeued ?? 0;
  if (counts.processed > MAX_COUNT || counts.requeued > MAX_COUNT) {
    store.discard();
    return { verdict: "unknown", state, refused: "counts" };
  }
  if (input.error !== undefined) {
    counts.errors += 1;
    const error: StoredError = { stage: input.stage, message: input.error };
    if (input.brief !== undefined) error.brief = input.brief;
    keepError(store, head, error);
  }
  rememberOp(store, operationsOf(head), input.op, "");
  touch(group);
  save(group);
  return { verdict: "accepted", state, complete };
}
