import { decode, encode, formatInteger } from "../platform.js";
import type { Store } from "../store.js";
import { emptyRing, type OpRing, recallOp, rememberOp } from "./op-ring.js";

/**
 * A request waits for its roots: pieces of work, each in a stage, that others mark done or failed. It is complete when
 * every registered root was marked; until the first one is registered, or the request is sealed, it is pending.
 *
 * A mark is membership in a set, like an ack: the member `t:LIFE:STAGE:ROOT` holds "" while a registered root is
 * open, `.OP` once it was marked by that call, `~OP` when it was marked before its registration, and `.~OP` when that came
 * too. Other members: `e:N` errors, and those of the ring of operations.
 *
 * An id may be used again as soon as it was cleaned up. For a minute the record then knows its last lives, so that a late
 * copy of a call that belongs to one of them changes nothing in the next.
 */
interface RequestHead {
  /** Which use of the id this is, and when it began. */
  life: number;
  beganAtMs: number;
  /** The call that has registered it, and those that have cleaned up the last lives. */
  registeredBy: string;
  cleanedBy: string[];
  /** Grows with every change; begins at the server's time, so that it never falls back. */
  version: number;
  /** How many roots are registered, how many of them are open, and how many were marked before their registration. */
  roots: number;
  open: number;
  early: number;
  /** No root is waited for but those that are there, and those that they hand on to. */
  sealed: boolean;
  /** It was cleaned up: for a moment those who wait still read how it ended, all others find nothing. */
  cleaned?: boolean;
  stages: StageCounts[];
  /** How many errors are kept word by word. */
  kept: number;
  /** The calls of the last minute that belong to no root. */
  ring: OpRing;
  ttlMs: number;
  refreshedAtMs: number;
}

export interface StageCounts {
  name: string;
  processed: number;
  requeueCount: number;
  errorCount: number;
}

export interface RequestView {
  complete: boolean;
  version: number;
  /** How many registered roots are not marked. */
  open: number;
  stages: StageCounts[];
  errors: { stage: string; message: string }[];
}

/** What became of a call about a request. `late`: the request is sealed and complete, and stays as it is. */
export type RequestVerdict = "accepted" | "duplicate" | "early" | "late" | "unknown";
/** Why nothing was written: a documented cap was reached. */
export type RequestRefusal = "roots" | "stages" | "counts";

export interface RequestOutcome {
  verdict: RequestVerdict;
  /** Whether the request is complete, once the call is done; absent when it is unknown. */
  complete?: boolean;
  refused?: RequestRefusal;
}

/** Roots of one stage. */
export interface StageRoots {
  stage: string;
  roots: string[];
}

/** How many roots a request may have, registered or marked; how many stages; how many errors are kept word by word. */
export const MAX_ROOTS = 100_000;
export const MAX_STAGES = 64;
export const MAX_ERRORS = 100;
/** How many lives of an id in a row are known. */
const MAX_LIVES = 8;
const MAX_COUNT = 1_000_000_000_000;
/** For so long those who wait still read the end of a request that was cleaned up. */
const CLEANED_MS = 60_000;
/** How often progress is looked for: only the end is told at once. */
const PROGRESS_MS = 1_000;
/** A record that lives shorter than four of these is kept by no waiter. */
const MIN_RECHECK_MS = 100;

const UNKNOWN: RequestVerdict = "unknown";

function open(store: Store): RequestHead | undefined {
  const head = store.head<RequestHead>();
  return head === undefined || head.cleaned === true ? undefined : head;
}

function isComplete(head: RequestHead): boolean {
  return head.open <= 0 && (head.roots > 0 || head.sealed);
}

/** Complete for good: nothing can be registered any more. */
function isFinal(head: RequestHead): boolean {
  return head.sealed && isComplete(head);
}

/** Stores a change. A pending request lives on while it is written to; its TTL is put off every quarter of it at most. */
function save(store: Store, head: RequestHead): void {
  head.version = store.nowMs > head.version ? store.nowMs : head.version + 1;
  if (isComplete(head)) {
    head.refreshedAtMs = store.nowMs;
    store.notify();
  }
  keep(store, head);
  store.put(head);
}

function keep(store: Store, head: RequestHead): void {
  if (store.nowMs - head.refreshedAtMs >= head.ttlMs / 4) head.refreshedAtMs = store.nowMs;
  store.keepUntil(head.refreshedAtMs + head.ttlMs);
}

function register(store: Store, input: { op: string; ttlMs: number }): RequestOutcome {
  const before = store.head<RequestHead>();
  if (before !== undefined && before.registeredBy === input.op) {
    return before.cleaned === true ? { verdict: UNKNOWN } : { verdict: "accepted", complete: isComplete(before) };
  }
  if (before !== undefined && before.cleaned !== true) return { verdict: "duplicate", complete: isComplete(before) };
  // The marks of the last lives stay, to be known again; of many in a row only so many.
  const life = before === undefined || before.life >= MAX_LIVES ? 1 : before.life + 1;
  if (life === 1) store.clear();
  const head: RequestHead = {
    life,
    beganAtMs: store.nowMs,
    registeredBy: input.op,
    cleanedBy: before?.cleanedBy ?? [],
    version: 0,
    roots: 0,
    open: 0,
    early: 0,
    sealed: false,
    // Their numbers stay, since marks are named by them.
    stages: (life === 1 ? [] : (before?.stages ?? [])).map(({ name }) => emptyStage(name)),
    kept: 0,
    ring: before?.ring ?? emptyRing(),
    ttlMs: input.ttlMs,
    refreshedAtMs: store.nowMs,
  };
  save(store, head);
  return { verdict: "accepted", complete: false };
}

/** The stage's place in the head, from 1; 0 when it is not there and no other may be added. */
function stageNumber(head: RequestHead, name: string): number {
  let number = 0;
  for (const stage of head.stages) {
    number += 1;
    if (stage.name === name) return number;
  }
  if (number >= MAX_STAGES) return 0;
  head.stages.push(emptyStage(name));
  return number + 1;
}

const emptyStage = (name: string): StageCounts => ({ name, processed: 0, requeueCount: 0, errorCount: 0 });

const rootName = (life: number, stage: number, root: string): string =>
  `t:${formatInteger(life)}:${formatInteger(stage)}:${root}`;

/** What this very call was told in an earlier life of the id, if it is a late copy; otherwise "duplicate". */
function verdictBefore(store: Store, head: RequestHead, stage: number, input: MarkInput): RequestVerdict {
  for (let life = 1; life < head.life; life++) {
    const mark = store.get(rootName(life, stage, input.root));
    const verdict = mark === undefined ? "duplicate" : verdictAgain(mark, input.op);
    if (verdict !== "duplicate") return verdict;
  }
  return "duplicate";
}

/** Registers what is not registered yet; returns how many roots that were, or why none was. */
function addRoots(store: Store, head: RequestHead, added: StageRoots): number | RequestRefusal {
  const stage = stageNumber(head, added.stage);
  if (stage === 0) return "stages";
  const names = added.roots.map((root) => rootName(head.life, stage, root));
  store.load(names);
  let count = 0;
  for (const name of names) {
    const mark = store.get(name);
    if (mark === undefined) {
      store.set(name, "");
      head.open += 1;
    } else if (mark.startsWith("~")) {
      store.set(name, `.${mark}`);
      head.early -= 1;
    } else continue;
    head.roots += 1;
    count += 1;
  }
  return head.roots + head.early > MAX_ROOTS ? "roots" : count;
}

function roots(store: Store, input: StageRoots & { op: string }): RequestOutcome {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  if (recallOp(store, input.op) !== undefined) return { verdict: "accepted", complete: isComplete(head) };
  const isOver = isFinal(head);
  const added = addRoots(store, head, input);
  if (typeof added === "string") return refuse(store, added);
  if (added > 0 && isOver) {
    store.discard();
    return { verdict: "late", complete: true };
  }
  if (added > 0) {
    rememberOp(store, head.ring, input.op, "");
    save(store, head);
  }
  return { verdict: added > 0 ? "accepted" : "duplicate", complete: isComplete(head) };
}

/** No root is waited for but those that are there. What is sealed and complete stays so. */
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

export interface MarkInput {
  op: string;
  stage: string;
  root: string;
  processed: number;
  /** The root failed: counted in the very step that closes it. */
  error?: string;
  /** Roots that take the work on: registered in the very step that closes this one. */
  next?: StageRoots[];
  /** A request that began later than this is another one than the caller means. */
  begunBeforeMs?: number;
}

function mark(store: Store, input: MarkInput): RequestOutcome {
  const head = open(store);
  if (head === undefined) return { verdict: UNKNOWN };
  if (input.begunBeforeMs !== undefined && head.beganAtMs > input.begunBeforeMs) return { verdict: UNKNOWN };
  const number = stageNumber(head, input.stage);
  if (number === 0) return refuse(store, "stages");
  const past = verdictBefore(store, head, number, input);
  if (past !== "duplicate") return { verdict: past, complete: isComplete(head) };
  const name = rootName(head.life, number, input.root);
  const before = store.get(name);
  if (before !== undefined && before !== "") {
    return { verdict: verdictAgain(before, input.op), complete: isComplete(head) };
  }
  if (isFinal(head)) return { verdict: "late", complete: true };
  const isEarly = before === undefined;
  store.set(name, `${isEarly ? "~" : "."}${input.op}`);
  if (isEarly) head.early += 1;
  else head.open -= 1;
  if (head.roots + head.early > MAX_ROOTS) return refuse(store, "roots");
  if (!count(store, head, number, { processed: input.processed, error: input.error })) return refuse(store, "counts");
  for (const next of input.next ?? []) {
    const added = addRoots(store, head, next);
    if (typeof added === "string") return refuse(store, added);
  }
  save(store, head);
  return { verdict: isEarly ? "early" : "accepted", complete: isComplete(head) };
}

/** What a call is told about a root that was marked before: the same again, when it is the call that did it. */
function verdictAgain(mark: string, op: string): RequestVerdict {
  if (mark === `.${op}`) return "accepted";
  return mark === `~${op}` || mark === `.~${op}` ? "early" : "duplicate";
}

/** Adds to a stage's counts; false when one would leave its range. */
function count(
  store: Store,
  head: RequestHead,
  number: number,
  added: { processed?: number; requeued?: number; error?: string | undefined },
): boolean {
  const stage = head.stages[number - 1]!;
  stage.processed += added.processed ?? 0;
  stage.requeueCount += added.requeued ?? 0;
  if (added.error !== undefined) {
    stage.errorCount += 1;
    if (head.kept < MAX_ERRORS) {
      head.kept += 1;
      store.set(errorName(head.kept), encode({ stage: stage.name, message: added.error }));
    }
  }
  return stage.processed <= MAX_COUNT && stage.requeueCount <= MAX_COUNT;
}

const errorName = (n: number): string => `e:${formatInteger(n)}`;

/** Counts what belongs to no root: work on the way, another try, an error that ended nothing. */
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
  if (!count(store, head, number, input)) return refuse(store, "counts");
  rememberOp(store, head.ring, input.op, "");
  save(store, head);
  return { verdict: "accepted", complete: isComplete(head) };
}

/** Nothing of this step is written. */
function refuse(store: Store, refused: RequestRefusal): RequestOutcome {
  store.discard();
  return { verdict: UNKNOWN, refused };
}

function viewOf(store: Store, head: RequestHead): RequestView {
  const names: string[] = [];
  for (let n = 1; n <= head.kept; n++) names.push(errorName(n));
  store.load(names);
  const errors: { stage: string; message: string }[] = [];
  for (const name of names) {
    const text = store.get(name);
    if (text !== undefined) errors.push(decode<{ stage: string; message: string }>(text));
  }
  return { complete: isComplete(head), version: head.version, open: head.open, stages: head.stages, errors };
}

function status(store: Store, _input: object): { view?: RequestView } {
  const head = open(store);
  return head === undefined ? {} : { view: viewOf(store, head) };
}

export interface Look {
  ready: boolean;
  recheckInMs?: number;
  view?: RequestView;
}

/**
 * What a waiter looks at: ready once the request is complete, and at once when it is unknown. Whether it is complete and
 * what it counted come from the same look. A request that somebody waits for does not expire.
 */
function wait(store: Store, _input: object): Look {
  const head = store.head<RequestHead>();
  if (head === undefined) return { ready: true };
  if (isComplete(head)) return { ready: true, view: viewOf(store, head) };
  if (head.cleaned === true) return { ready: true };
  if (store.nowMs - head.refreshedAtMs >= head.ttlMs / 4) {
    keep(store, head);
    store.put(head);
  }
  const recheckInMs = Math.ceil(head.ttlMs / 4) - (store.nowMs - head.refreshedAtMs);
  return { ready: false, recheckInMs: recheckInMs > MIN_RECHECK_MS ? recheckInMs : MIN_RECHECK_MS };
}

/** Ready once there is more to tell than at version `after`: the end at once, steps on the way within a second. */
function progress(store: Store, input: { after: number }): Look {
  const head = store.head<RequestHead>();
  if (head === undefined) return { ready: true };
  if (head.cleaned === true && !isComplete(head)) return { ready: true };
  if (isComplete(head) || head.version > input.after) return { ready: true, view: viewOf(store, head) };
  return { ready: false, recheckInMs: PROGRESS_MS };
}

/**
 * Removes the request. Who waits for a complete one reads how it ended for a minute more; nobody sees zeros. What is stored
 * goes with that minute: until then late copies of its calls are known.
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
  store.keepUntil(store.nowMs + CLEANED_MS);
  store.notify();
  return { found: true };
}

export const request = { register, roots, seal, mark, record, status, wait, progress, cleanup };
