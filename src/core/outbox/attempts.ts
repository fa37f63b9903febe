import { fullJitterMs, type RetryPolicy } from "../../lib/backoff.js";
import type { Store } from "../store.js";
import {
  close,
  type Delivery,
  type Due,
  type Outbox,
  type OutboxHead,
  read,
  snapshotOf,
  unhandledReason,
  write,
} from "./deliveries.js";

/**
 * The attempts at a delivery. A drain claims the delivery under a lease with a fencing token, and stores the attempt
 * before it sends anything. Then it settles the attempt. Deliveries are at least once; the delivery id is fixed in
 * advance, so that the receiver can be idempotent.
 */

/** The input of a `woken` transition: what the draining process can deliver. */
export interface WokenInput {
  /** The id of the call. A repeated call gets the same leases again. */
  op?: string;
  /**
   * The caller's incarnation, where only one process at a time delivers (a Durable Object). Leases of an earlier
   * incarnation are over.
   */
  sole?: string;
  routes?: string[];
  leaseMs?: number;
  retry?: RetryPolicy;
  /** Another waker of the same process runs next. Deliveries without a handler here are left unchanged. */
  more?: boolean;
}

/** A delivery whose lease the caller holds. */
export interface Claim {
  /** Names the delivery in its record. */
  key: string;
  generation: number;
  deliveryId: string;
  fence: number;
  attempt: number;
  type: string;
  route: string;
  body: string;
  /** When the group ended. */
  createdAtMs: number;
  /** The status at the end of the group, as text. */
  snapshot: string;
  /** The trace contexts of the registration, and of the ack that ended the group. */
  registerTrace?: string | undefined;
  endTrace?: string | undefined;
}

/** A change that a drain made to a delivery without an attempt. The drain reports it as an event. */
export interface Notice {
  /** `unhandled`: drains lack the handler. `dead`: the delivery became a dead letter. */
  outcome: "unhandled" | "dead";
  deliveryId: string;
  route: string;
  /** How many attempts were made before. */
  attempt: number;
  error: string;
}

/** The result of a `woken` transition. */
export interface Claimed {
  claims: Claim[];
  notices?: Notice[];
}

export interface SettleInput {
  /** The claim's key. */
  key: string;
  fence: number;
  /** Absent: the attempt succeeded. */
  error?: string;
  /** No further attempt is made. */
  final?: boolean;
  /** The receiver's Retry-After, in milliseconds: the next attempt does not begin earlier. */
  notBeforeMs?: number;
  /**
   * Nothing was sent: the drain gives the claim back, and the attempt does not count. The delivery becomes due again
   * after this many milliseconds.
   */
  handedBackMs?: number;
  /** The attempt did a part of the work: the next attempt, due at once, gets this body. */
  rest?: string;
  retry: RetryPolicy;
  /** From 0 to 1, for the jitter. */
  random: number;
}

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 12, baseDelayMs: 1_000, maxDelayMs: 900_000 };
export const DEFAULT_LEASE_MS = 60_000;

const PASS_BASE_MS = 5_000;
const PASS_MAX_MS = 300_000;
/** After a day of drains without its handler, a delivery becomes a dead letter. */
const UNHANDLED_MS = 86_400_000;
/** How often it is reported as `unhandled` meanwhile. An alert over the last hour stays on while the handler is missing. */
const TELL_AGAIN_MS = 3_600_000;

/** The state of one drain of a record's outbox. */
interface Drain {
  store: Store;
  outbox: Outbox;
  input: WokenInput;
  claims: Claim[];
  notices: Notice[];
}

/** Claims the due deliveries that the draining process can deliver. Postpones the others without spending an attempt. */
export function claim(store: Store, { outbox }: OutboxHead, input: WokenInput): Claimed {
  const claims: Claim[] = [];
  const notices: Notice[] = [];
  if (outbox === undefined) return { claims };
  const drain: Drain = { store, outbox, input, claims, notices };
  repeatNotices(drain);
  for (const due of outbox.due.filter((entry) => isClaimable(entry, input, store.nowMs))) {
    const delivery = read(store, due.key);
    if (delivery === undefined) close(outbox, due.key);
    else claimOne(drain, due, delivery);
  }
  return notices.length === 0 ? { claims } : { claims, notices };
}

function claimOne(drain: Drain, due: Due, delivery: Delivery): void {
  const { store, input } = drain;
  const retry = input.retry ?? DEFAULT_RETRY;
  if (isAgain(due, input, store.nowMs)) {
    drain.claims.push(claimOf(store, due.key, delivery));
    return;
  }
  if (input.routes?.includes(delivery.route) !== true) {
    // A delivery that is not yet due was handed back unsent. A process with free capacity may claim it.
    if (input.more !== true && due.atMs <= store.nowMs) postponeUnhandled(drain, due, delivery);
    return;
  }
  const spent = delivery.attempts - delivery.base;
  // The process that held the lease ended. Its attempt counts as failed, with backoff: a crash that repeats must not
  // spend all attempts at once.
  if (due.leased && due.atMs > store.nowMs && spent > 1) {
    due.leased = false;
    due.atMs = store.nowMs + fullJitterMs(retry, spent, 1);
    return;
  }
  if (spent >= retry.maxAttempts) {
    deadLetterByDrain(drain, due.key, { delivery, why: "the last attempt never reported back" });
    return;
  }
  delivery.attempts += 1;
  delivery.fence += 1;
  write(store, due.key, delivery);
  due.atMs = store.nowMs + (input.leaseMs ?? DEFAULT_LEASE_MS);
  due.leased = true;
  due.passed = 0;
  due.unsent = false;
  due.unhandled = undefined;
  if (input.op !== undefined) due.op = input.op;
  if (input.sole !== undefined) due.holder = input.sole;
  drain.claims.push(claimOf(store, due.key, delivery));
}

function isClaimable(due: Due, input: WokenInput, nowMs: number): boolean {
  if (due.atMs <= nowMs || due.unsent === true || isAgain(due, input, nowMs)) return true;
  return due.leased && input.sole !== undefined && due.holder !== input.sole;
}

/** Whether the lease belongs to an earlier copy of this call, whose reply was lost. */
function isAgain(due: Due, input: WokenInput, nowMs: number): boolean {
  return due.leased && due.atMs > nowMs && input.op !== undefined && due.op === input.op;
}

function claimOf(store: Store, key: string, delivery: Delivery): Claim {
  return {
    key,
    generation: delivery.generation,
    deliveryId: delivery.id,
    fence: delivery.fence,
    attempt: delivery.attempts,
    type: delivery.type,
    route: delivery.route,
    body: delivery.body,
    createdAtMs: delivery.createdAtMs,
    snapshot: snapshotOf(store, key),
    registerTrace: delivery.registerTrace,
    endTrace: delivery.endTrace,
  };
}

/** Postpones a delivery whose handler this process lacks. The day counts from the first such drain in a row. */
function postponeUnhandled(drain: Drain, due: Due, delivery: Delivery): void {
  const { store, input, notices } = drain;
  const { nowMs } = store;
  const reason = unhandledReason(delivery.route);
  const before = due.unhandled;
  if (before !== undefined && nowMs - before.sinceMs >= UNHANDLED_MS) {
    deadLetterByDrain(drain, due.key, { delivery, why: reason });
    return;
  }
  if (before === undefined || nowMs - before.toldAtMs >= TELL_AGAIN_MS) {
    due.unhandled = { sinceMs: before?.sinceMs ?? nowMs, toldAtMs: nowMs, op: input.op };
    notices.push(noticeOf(delivery, "unhandled", reason));
  }
  let pauseMs = PASS_BASE_MS;
  for (let i = 0; i < due.passed && pauseMs < PASS_MAX_MS; i++) pauseMs *= 2;
  due.leased = false;
  due.passed += 1;
  due.atMs = nowMs + (pauseMs < PASS_MAX_MS ? pauseMs : PASS_MAX_MS);
}

/** Makes a delivery a dead letter without an attempt. `why` is reported; the status keeps the error of the last attempt. */
function deadLetterByDrain(
  { store, outbox, input, notices }: Drain,
  key: string,
  { delivery, why }: { delivery: Delivery; why: string },
): void {
  deadLetter(store, outbox, { key, delivery, error: delivery.lastError ?? why });
  if (input.op !== undefined) outbox.dead[outbox.dead.length - 1]!.told = { op: input.op, error: why };
  notices.push(noticeOf(delivery, "dead", why));
}

function noticeOf({ id, route, attempts }: Delivery, outcome: Notice["outcome"], error: string): Notice {
  return { outcome, deliveryId: id, route, attempt: attempts, error };
}

/** Reports again the notices of an earlier copy of this call, whose reply was lost. */
function repeatNotices({ store, outbox, input, notices }: Drain): void {
  if (input.op === undefined) return;
  for (const { key, unhandled } of outbox.due) {
    if (unhandled === undefined || unhandled.op !== input.op) continue;
    const delivery = read(store, key);
    if (delivery !== undefined) notices.push(noticeOf(delivery, "unhandled", unhandledReason(delivery.route)));
  }
  for (const { key, told } of outbox.dead) {
    if (told === undefined || told.op !== input.op) continue;
    const delivery = read(store, key);
    if (delivery !== undefined) notices.push(noticeOf(delivery, "dead", told.error));
  }
}

/** Ends an attempt. Returns false, and changes nothing, when the lease was lost or the delivery was settled already. */
export function settle(store: Store, { outbox }: OutboxHead, input: SettleInput): boolean {
  const delivery = read(store, input.key);
  if (outbox === undefined || delivery === undefined) return false;
  // This call settled it, and its reply was lost.
  if (delivery.settled === input.fence) return (delivery.state === "delivered") === (input.error === undefined);
  if (delivery.state !== "pending" || delivery.fence !== input.fence) return false;
  if (input.handedBackMs !== undefined) {
    delivery.attempts -= 1;
    putOff(store, outbox, { key: input.key, delivery, pauseMs: input.handedBackMs, unsent: true });
    return true;
  }
  delivery.settled = input.fence;
  if (input.rest !== undefined) {
    delivery.body = input.rest;
    // Progress earns a full number of attempts again.
    delivery.base = delivery.attempts;
    putOff(store, outbox, { key: input.key, delivery, pauseMs: 0 });
    return true;
  }
  if (input.error === undefined) {
    delivery.state = "delivered";
    delivery.lastError = undefined;
    write(store, input.key, delivery);
    close(outbox, input.key);
    return true;
  }
  const spent = delivery.attempts - delivery.base;
  if (input.final === true || spent >= input.retry.maxAttempts) {
    deadLetter(store, outbox, { key: input.key, delivery, error: input.error });
    return true;
  }
  delivery.lastError = input.error;
  const jitteredMs = fullJitterMs(input.retry, spent, input.random);
  const notBeforeMs = input.notBeforeMs ?? 0;
  const pauseMs = jitteredMs > notBeforeMs ? jitteredMs : notBeforeMs;
  putOff(store, outbox, { key: input.key, delivery, pauseMs });
  return true;
}

/** Ends a lease: the delivery can be claimed again after a pause. */
function putOff(
  store: Store,
  outbox: Outbox,
  put: { key: string; delivery: Delivery; pauseMs: number; unsent?: boolean },
): void {
  const { key, delivery, pauseMs } = put;
  // The fencing token changes, so that the ended attempt can settle nothing.
  delivery.fence += 1;
  write(store, key, delivery);
  for (const due of outbox.due) {
    if (due.key !== key) continue;
    due.leased = false;
    due.atMs = store.nowMs + pauseMs;
    if (put.unsent === true) due.unsent = true;
  }
}

/** Makes a delivery a dead letter, until it is redelivered. */
function deadLetter(
  store: Store,
  outbox: Outbox,
  { key, delivery, error }: { key: string; delivery: Delivery; error: string },
): void {
  delivery.state = "dead";
  delivery.lastError = error;
  write(store, key, delivery);
  close(outbox, key);
  outbox.dead.push({ key, atMs: store.nowMs });
}
