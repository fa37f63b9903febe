import { isRenewable, isRenewalDue, renewalInMs } from "../lifetime.js";
import { numbersUntilMs } from "../numbers.js";
import { recallOp, rememberOp } from "../recent-operations.js";
import type { Store } from "../store.js";
import {
  addRoots,
  begin,
  countIn,
  type Done,
  isComplete,
  isFinal,
  keep,
  keepEarlyMark,
  MAX_CALLERS,
  MAX_LIVES,
  open,
  type RequestHead,
  type RequestRefusal,
  type RequestView,
  rootNames,
  type StageRoots,
  save,
  stageNumber,
  viewOf,
} from "./record.js";

/**
 * A request waits for its roots: pieces of work, each in a stage, that callers mark done or failed. It is complete when
 * every registered root is marked. It is pending until the first root is registered or the request is sealed.
 */

/**
 * The result of a call about a request. `late`: the request is sealed and complete, and does not change. `sealed`: the
 * request is sealed and pending, and takes no new roots.
 */
export type RequestVerdict = "accepted" | "duplicate" | "early" | "late" | "sealed" | "unknown";

export interface RequestOutcome {
  verdict: RequestVerdict;
  /** Whether the request is complete after the call; absent when it is unknown. */
  complete?: boolean;
  refused?: RequestRefusal;
}

/** How long waiters can still read the end of a request that was cleaned up. */
const CLEANED_MS = 60_000;
/** How often a waiter looks for progress. Only the end is notified at once. */
const PROGRESS_MS = 1_000;

const UNKNOWN: RequestVerdict = "unknown";

function register(store: Store, input: { op: string; ttlMs: number }): RequestOutcome {
  const before = store.head<RequestHead>();
  if (before === undefined) return began(store, input);
  const hasBegun = before.registeredBy.includes(input.op);
  // A late copy of a known call starts no new incarnation.
  const isKnown = hasBegun || recallOp(store, input.op) !== undefined;
  if (!isKnown && (before.cleaned === true || before.abandoned === true)) return began(store, input);
  if (before.cleaned === true) return { verdict: UNKNOWN };
  if (!isKnown) join(store, before, input.op);
  return { verdict: hasBegun ? "accepted" : "duplicate", complete: isComplete(before) };
}

function began(store: Store, input: { op: string; ttlMs: number }): RequestOutcome {
  begin(store, input);
  return { verdict: "accepted", complete: false };
}

/** Adds a caller to a request that can still be abandoned. A sealed request cannot be abandoned. */
function join(store: Store, head: RequestHead, op: string): void {
  const { callers } = head;
  if (head.sealed || callers.length > MAX_CALLERS) return;
  // No call has the empty name, so the list never becomes empty again.
  callers.push(callers.length === MAX_CALLERS ? "" : op);
  rememberOp(store, head.ring, op, "");
  store.put(head);
}

export interface AbandonInput {
  op: string;
  /** The `op` of the caller's registration. */
  caller: string;
  stage: string;
  error: string;
}

/**
 * Removes a caller that failed. When the last caller is removed, the request ends with an error, and its waiters
 * resolve. The request continues while it has another caller, or once it is sealed.
 */
function abandon(store: Store, input: AbandonInput): RequestOutcome {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  const told = recallOp(store, input.op);
  if (told !== undefined) return { verdict: told as RequestVerdict, complete: isComplete(head) };
  if (head.sealed) return { verdict: "late", complete: isComplete(head) };
  if (!head.callers.includes(input.caller)) return { verdict: "duplicate", complete: isComplete(head) };
  head.callers = head.callers.filter((caller) => caller !== input.caller);
  if (head.callers.length > 0) {
    rememberOp(store, head.ring, input.op, "duplicate");
    store.put(head);
    return { verdict: "duplicate", complete: isComplete(head) };
  }
  const number = stageNumber(head, input.stage);
  if (number === 0) return refuse(store, "stages");
  countIn(store, head, number, { error: input.error });
  head.open = 0;
  head.sealed = true;
  head.abandoned = true;
  rememberOp(store, head.ring, input.op, "accepted");
  save(store, head);
  return { verdict: "accepted", complete: true };
}

function roots(store: Store, input: StageRoots & { op: string }): RequestOutcome {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  if (recallOp(store, input.op) !== undefined) return { verdict: "accepted", complete: isComplete(head) };
  const { sealed } = head;
  const complete = isComplete(head);
  const added = addRoots(store, head, [{ stage: input.stage, roots: input.roots }]);
  if (typeof added === "string") return refuse(store, added);
  if (added > 0 && sealed) {
    store.discard();
    return { verdict: complete ? "late" : "sealed", complete };
  }
  if (added > 0) {
    rememberOp(store, head.ring, input.op, "");
    save(store, head);
  }
  return { verdict: added > 0 ? "accepted" : "duplicate", complete: isComplete(head) };
}

/**
 * Closes the request to new roots, except those that a registered root hands on to. A request that is sealed and
 * complete stays complete.
 */
function seal(store: Store, input: { op: string }): RequestOutcome & { view?: RequestView } {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  const isAgain = recallOp(store, input.op) !== undefined;
  const verdict = head.sealed && !isAgain ? "duplicate" : "accepted";
  if (!head.sealed && !isAgain) {
    head.sealed = true;
    rememberOp(store, head.ring, input.op, "");
    save(store, head);
  }
  const complete = isComplete(head);
  return complete ? { verdict, complete, view: viewOf(store, head) } : { verdict, complete };
}

export interface MarkInput extends Done {
  op: string;
  stage: string;
  root: string;
  /** A request that began after this instant is a different use of the id. The mark then has no effect. */
  begunBeforeMs?: number;
}

function mark(store: Store, input: MarkInput): RequestOutcome {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  if (input.begunBeforeMs !== undefined && head.beganAtMs > input.begunBeforeMs) return { verdict: UNKNOWN };
  const number = stageNumber(head, input.stage);
  if (number === 0) return refuse(store, "stages");
  const names = rootNames(head, number, input.root);
  store.load(names);
  const past = verdictBefore(store, names, input.op);
  if (past !== undefined) return { verdict: past, complete: isComplete(head) };
  const name = names[names.length - 1]!;
  const before = store.get(name);
  if (isFinal(head)) return { verdict: "late", complete: true };
  const refused =
    before === undefined
      ? keepEarlyMark(store, head, { name, op: input.op, done: doneOf(input) })
      : closeRoot(store, head, { name, number, input });
  if (refused !== undefined) return refuse(store, refused);
  save(store, head);
  return { verdict: before === undefined ? "early" : "accepted", complete: isComplete(head) };
}

function doneOf({ processed, error, next = [] }: MarkInput): Done {
  const done: Done = { processed };
  if (error !== undefined) done.error = error;
  if (next.length > 0) done.next = next;
  return done;
}

/** Closes a registered root, adds its counts, and registers the roots that it hands on to. */
function closeRoot(
  store: Store,
  head: RequestHead,
  { name, number, input }: { name: string; number: number; input: MarkInput },
): RequestRefusal | undefined {
  store.set(name, `.${input.op}`);
  head.open -= 1;
  if (!countIn(store, head, number, { processed: input.processed, error: input.error })) return "counts";
  const added = addRoots(store, head, input.next ?? []);
  return typeof added === "string" ? added : undefined;
}

/**
 * Returns the verdict for a root that is already marked. The call that marked it, in this incarnation or an earlier
 * one, gets its first verdict again. `undefined`: the root is not marked.
 */
function verdictBefore(store: Store, names: readonly string[], op: string): RequestVerdict | undefined {
  let mark = "";
  for (const name of names) {
    mark = store.get(name) ?? "";
    if (mark === `.${op}`) return "accepted";
    if (mark === `~${op}` || mark === `.~${op}`) return "early";
  }
  return mark === "" ? undefined : "duplicate";
}

/** Adds counts that belong to no root: intermediate work, a retry, an error that ended nothing. */
function record(
  store: Store,
  input: { op: string; stage: string; processed?: number; requeued?: number; error?: string },
): RequestOutcome {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  if (recallOp(store, input.op) !== undefined) return { verdict: "accepted", complete: isComplete(head) };
  if (isFinal(head)) return { verdict: "late", complete: true };
  const number = stageNumber(head, input.stage);
  if (number === 0) return refuse(store, "stages");
  if (!countIn(store, head, number, input)) return refuse(store, "counts");
  rememberOp(store, head.ring, input.op, "");
  save(store, head);
  return { verdict: "accepted", complete: isComplete(head) };
}

/** Discards everything that this transition wrote. */
function refuse(store: Store, refused: RequestRefusal): RequestOutcome {
  store.discard();
  return { verdict: UNKNOWN, refused };
}

function status(store: Store, _input: object): { view?: RequestView } {
  const head = open(store);
  return head === undefined ? {} : { view: viewOf(store, head) };
}

export interface Look {
  ready: boolean;
  version: number;
  recheckInMs?: number;
  view?: RequestView;
}

/**
 * The output that a wait polls: ready once the request is complete, and at once when it is unknown. Completeness and
 * counts come from the same atomic read. Waiters keep a pending request alive for at most 30 days after its last
 * change.
 */
function wait(store: Store, _input: object): Look {
  const head = store.head<RequestHead>();
  if (head === undefined) return { ready: true, version: store.nowMs };
  const { version } = head;
  if (isComplete(head)) return { ready: true, version, view: viewOf(store, head) };
  if (head.cleaned === true) return { ready: true, version };
  return { ready: false, version, recheckInMs: follow(store, head) };
}

/** Keeps a pending request alive for a waiting caller. Returns in how many milliseconds that caller must look again. */
function follow(store: Store, head: RequestHead): number {
  if (isRenewable(store, head.version) && isRenewalDue(store, head.refreshedAtMs, head.ttlMs)) {
    keep(store, head);
    store.put(head);
  }
  const untilMs = head.refreshedAtMs + head.ttlMs;
  return isRenewable(store, head.version) ? renewalInMs(store, head.refreshedAtMs, head.ttlMs) : untilMs - store.nowMs;
}

/**
 * Ready once the version is higher than `after`: the end at once, progress within a second. Keeps a pending request
 * alive, as `wait` does.
 */
function progress(store: Store, input: { after: number }): Look {
  const head = store.head<RequestHead>();
  if (head === undefined) return { ready: true, version: store.nowMs };
  const { version } = head;
  if (head.cleaned === true && !isComplete(head)) return { ready: true, version };
  if (isComplete(head)) return { ready: true, version, view: viewOf(store, head) };
  const followInMs = follow(store, head);
  if (version > input.after) return { ready: true, version, view: viewOf(store, head) };
  return { ready: false, version, recheckInMs: followInMs < PROGRESS_MS ? followInMs : PROGRESS_MS };
}

/**
 * Removes the request. Waiters of a complete request can read how it ended for a minute more, instead of zeros. The
 * record is kept for that minute, so that late copies of its calls are recognized.
 */
function cleanup(store: Store, input: { op: string }): { found: boolean } {
  const stood = store.head<RequestHead>();
  if (stood?.cleanedBy.includes(input.op) === true) return { found: true };
  const head = open(store);
  if (head === undefined) return { found: false };
  head.cleaned = true;
  head.cleanedBy.push(input.op);
  if (head.cleanedBy.length > MAX_LIVES) head.cleanedBy.shift();
  store.put(head);
  store.keepUntil(numbersUntilMs(store, head.version) + CLEANED_MS);
  store.notify();
  return { found: true };
}

export const request = { register, roots, seal, abandon, mark, record, status, wait, progress, cleanup };
