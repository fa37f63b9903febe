import { answerName, emptyRing, type OpRing, KEPT_MS as RESENT_MS, recallOp, rememberOp } from "./recent-operations.js";
import type { Store } from "./store.js";

/**
 * A key that one caller holds. A *claim* holds it for a window of time. A *run* holds it under a lease while its work
 * runs. A finished run keeps its result for the duplicates.
 *
 * A lease that is over may be taken by another call. Until then its holder's `renew` and `finish` count.
 *
 * Instances of an earlier version read `holder` and `ring` only. To them a run is a claim.
 */
interface DedupeHead {
  /** The id of the call that holds the key, or whose run is done; "" when the key is free. */
  holder: string;
  /** The ids of calls that are over. A late copy of one of these calls changes nothing. */
  ring: OpRing;
  /** When a claim ends, or the result of a run. */
  untilMs?: number | undefined;
  /** Only while a run holds the key, or is done. */
  run?: Run | undefined;
  /** The last fencing token. */
  token?: number;
}

interface Run {
  /** The call that runs. An earlier version can free a run and claim its key, and leaves the run as it was. */
  op: string;
  done: boolean;
  leaseEndsMs: number;
  /** Identifies the request. Calls with one key must agree on it. */
  fingerprint?: string;
}

export interface BeginInput {
  op: string;
  leaseMs: number;
  windowMs: number;
  fingerprint?: string;
}

/**
 * `begun`: the caller runs the work. `done`: a run is done. `busy`: another call holds the key. `mismatch`: a run has
 * another fingerprint. `over`: this call's run has ended, because it failed or lost its lease.
 */
export interface BeginOutput {
  outcome: "begun" | "done" | "busy" | "mismatch" | "over";
  /** The fencing token of the run. */
  token?: number;
  /** The value of a run that is done. Absent: no value was kept. */
  value?: string;
  /** Until the lease or the claim ends. Absent: unknown. */
  retryAfterMs?: number;
}

const VALUE = "value";
/**
 * A record outlives its lease this long, so that a late `finish` counts if no other call has begun. A forgotten key is
 * kept this long too: its next token is higher, also after the clock went back by less.
 */
const KEPT_MS = 3_600_000;
/** How often to look again at a claim that does not say when it ends. */
const RECHECK_MS = 1_000;

const open = (store: Store): DedupeHead => store.head<DedupeHead>() ?? { holder: "", ring: emptyRing() };

/** Returns the run that holds the key, or is done. */
function runOf({ holder, run }: DedupeHead): Run | undefined {
  return run !== undefined && run.op === holder ? run : undefined;
}

/** Whether a call may take the key. */
function isFree(store: Store, head: DedupeHead): boolean {
  if (head.holder === "") return true;
  const run = runOf(head);
  const endsMs = run === undefined || run.done ? head.untilMs : run.leaseEndsMs;
  return endsMs !== undefined && endsMs <= store.nowMs;
}

/** Whether the call's run goes on: its lease may be over, but no other call has taken the key. */
function isRunning(head: DedupeHead, op: string): boolean {
  const run = runOf(head);
  return run !== undefined && run.op === op && !run.done;
}

/** Ends what the record holds. A late copy of the holder's call then changes nothing. */
function free(store: Store, head: DedupeHead): void {
  if (head.holder !== "") rememberOp(store, head.ring, head.holder, "");
  if (head.run?.done) store.remove(VALUE);
  head.holder = "";
  head.run = undefined;
  head.untilMs = undefined;
}

function claim(store: Store, input: { op: string; ttlMs: number }): { claimed: boolean } {
  const head = open(store);
  if (head.holder === input.op || recallOp(store, input.op) !== undefined) return { claimed: true };
  if (!isFree(store, head)) return { claimed: false };
  free(store, head);
  head.holder = input.op;
  head.untilMs = store.nowMs + input.ttlMs;
  keep(store, head, head.untilMs);
  return { claimed: true };
}

/** Frees a claim. With `holder`, only if that call still holds it. Does not end a run. */
function release(store: Store, input: { op: string; holder?: string }): { released: boolean } {
  const head = store.head<DedupeHead>();
  if (head === undefined) return { released: false };
  if (recallOp(store, input.op) !== undefined) return { released: true };
  if (head.holder === "" || runOf(head) !== undefined) return { released: false };
  if (input.holder !== undefined && input.holder !== head.holder) return { released: false };
  free(store, head);
  rememberOp(store, head.ring, input.op, "");
  store.put(head);
  store.notify();
  return { released: true };
}

function begin(store: Store, input: BeginInput): BeginOutput {
  const head = open(store);
  const run = runOf(head);
  if (recallOp(store, input.op) !== undefined) return { outcome: "over" };
  const isOwn = isRunning(head, input.op);
  if (!isOwn && !isFree(store, head)) {
    if (run !== undefined && run.fingerprint !== input.fingerprint) return { outcome: "mismatch" };
    return run?.done ? done(store) : busy(store, head);
  }
  if (!isOwn) {
    // A late copy of the call whose result has expired.
    if (head.holder === input.op) return { outcome: "over" };
    free(store, head);
    head.holder = input.op;
    head.token = Math.max((head.token ?? 0) + 1, store.nowMs);
    head.run = { op: input.op, done: false, leaseEndsMs: store.nowMs + input.leaseMs };
    if (input.fingerprint !== undefined) head.run.fingerprint = input.fingerprint;
    save(store, head, input.windowMs);
  }
  return { outcome: "begun", token: head.token! };
}

function done(store: Store): BeginOutput {
  const value = store.get(VALUE);
  return value === undefined ? { outcome: "done" } : { outcome: "done", value };
}

function busy(store: Store, head: DedupeHead): BeginOutput {
  const run = runOf(head);
  const endsMs = run === undefined ? head.untilMs : run.leaseEndsMs;
  return endsMs === undefined ? { outcome: "busy" } : { outcome: "busy", retryAfterMs: endsMs - store.nowMs };
}

/** Begins the lease anew, unless another call has taken the key. */
function renew(store: Store, input: { op: string; leaseMs: number; windowMs: number }): { held: boolean } {
  const head = store.head<DedupeHead>();
  if (head === undefined || !isRunning(head, input.op)) return { held: false };
  head.run!.leaseEndsMs = store.nowMs + input.leaseMs;
  save(store, head, input.windowMs);
  return { held: true };
}

export interface FinishInput {
  op: string;
  windowMs: number;
  /** Absent: the key is done without a value. */
  value?: string;
}

/** Keeps the result for the window. Refuses a call whose lease another call has taken. */
function finish(store: Store, input: FinishInput): { held: boolean } {
  const head = store.head<DedupeHead>();
  const run = head === undefined ? undefined : runOf(head);
  if (head === undefined || run === undefined || run.op !== input.op) return { held: false };
  if (run.done) return { held: true };
  run.done = true;
  if (input.value !== undefined) store.set(VALUE, input.value);
  head.untilMs = store.nowMs + input.windowMs;
  keep(store, head, head.untilMs);
  store.notify();
  return { held: true };
}

/** Frees the key after work that failed. */
function fail(store: Store, input: { op: string }): { held: boolean } {
  const head = store.head<DedupeHead>();
  if (head === undefined || !isRunning(head, input.op)) {
    return { held: recallOp(store, input.op) !== undefined };
  }
  free(store, head);
  store.put(head);
  store.notify();
  return { held: true };
}

/** Frees the key, whatever it holds, and removes the result. */
function forget(store: Store, input: { op: string }): { found: boolean } {
  const head = store.head<DedupeHead>();
  if (head === undefined) return { found: false };
  if (recallOp(store, input.op) !== undefined) return { found: true };
  if (head.holder === "") return { found: false };
  free(store, head);
  rememberOp(store, head.ring, input.op, "");
  keep(store, head, store.nowMs + KEPT_MS);
  store.notify();
  return { found: true };
}

/** The output that waiters of a key watch: ready once a call may take it, or its run is done. */
function wait(store: Store, _input: object): { ready: boolean; version: number; recheckInMs?: number } {
  const head = store.head<DedupeHead>();
  const version = head?.token ?? store.nowMs;
  if (head === undefined || isFree(store, head)) return { ready: true, version };
  const run = runOf(head);
  if (run?.done) return { ready: true, version };
  return { ready: false, version, recheckInMs: busy(store, head).retryAfterMs ?? RECHECK_MS };
}

/** Keeps a run that goes on. */
function save(store: Store, head: DedupeHead, windowMs: number): void {
  const leaseEndsMs = head.run === undefined ? 0 : head.run.leaseEndsMs;
  keep(store, head, Math.max(leaseEndsMs + KEPT_MS, store.nowMs + windowMs));
}

/**
 * A record with runs outlives its token, since the next one begins at the server's time. It also outlives late copies of
 * its calls.
 */
function keep(store: Store, head: DedupeHead, untilMs: number): void {
  store.put(head);
  const { token } = head;
  store.keepUntil(token === undefined ? untilMs : Math.max(untilMs, token + 1, store.nowMs + RESENT_MS));
}

export const dedupe = { claim, release, begin, renew, finish, fail, forget, wait };

const expectedOfBegin = ({ op }: BeginInput): string[] => [answerName(op), VALUE];
const expectedOfClaim = ({ op }: { op: string }): string[] => [answerName(op)];

/** The members that a step probably reads. Redis reads them with the head in one command. */
export const expected = { begin: expectedOfBegin, claim: expectedOfClaim };
