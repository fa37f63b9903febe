import { fullJitterMs, type RetryPolicy } from "../backoff.js";
import { decode, encode, formatInteger } from "../platform.js";
import type { Store } from "../store.js";

/**
 * A record's outbox: what it still owes to the world, one delivery a generation. The step that ends a group also writes
 * its delivery here; a drainer claims it under a fenced lease (the attempt is stored before anything is sent), and
 * settles it. At least once, with an id fixed beforehand: the receiver makes the effect once.
 */

/** Where a delivery goes. */
export interface Target {
  /** What a drainer must be able to do: `handler:NAME`, `url`, or `request`. */
  route: string;
  /** What the drainer needs besides, opaque here. */
  body: string;
}

/** Targets by the end that they are for; `end` takes every end that has none of its own. */
export interface Targets {
  complete?: Target;
  timeout?: Target;
  end?: Target;
}

/** The route that every drainer can take: marking the root of a request, wherever that is. */
export const REQUEST_ROUTE = "request";

/** Where a delivery stands. `dead`: given up, until it is redelivered. */
export type DeliveryState = "none" | "pending" | "delivered" | "dead";

/** A delivery, stored as the member `d:GENERATION`; the status it tells of stands in `s:GENERATION`. */
interface Delivery {
  id: string;
  type: string;
  route: string;
  body: string;
  state: "pending" | "delivered" | "dead";
  attempts: number;
  /** How many attempts there had been when it was (re)queued. */
  base: number;
  /** The fencing token: of several claims only the newest may settle. */
  fence: number;
  createdAtMs: number;
  queuedAtMs: number;
  lastError?: string;
}

/** A line of the outbox in the record's head: when to look at which delivery again. */
interface Due {
  generation: number;
  atMs: number;
  /** An attempt is under way; at `atMs` its lease ends. Who holds it, and by which call. */
  leased: boolean;
  holder?: string;
  op?: string;
  /** How often a drainer passed it by for want of its handler. */
  passed: number;
}

/** What a record owes, or has given up on, of this generation and of earlier ones. */
export interface Outbox {
  due: Due[];
  /** The dead letters. */
  dead: { generation: number; atMs: number }[];
}

/** A head with an outbox, once there has been a delivery. */
export interface OutboxHead {
  outbox?: Outbox;
}

/** What a drainer brings along. */
export interface WokenInput {
  /** The call's id: its copy is handed the same leases again. */
  op?: string;
  /**
   * The caller's incarnation, where one process at a time delivers (an object): a lease that an earlier incarnation
   * holds ended with it.
   */
  sole?: string;
  routes?: string[];
  leaseMs?: number;
  retry?: RetryPolicy;
  /** Another of the same process looks next: what this one lacks the handler for is left as it is. */
  more?: boolean;
}

/** A delivery that the caller now holds the lease of. */
export interface Claim {
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
}

export interface SettleInput {
  generation: number;
  fence: number;
  /** Absent: delivered. */
  error?: string;
  /** The error is final: no further attempt. */
  final?: boolean;
  /** The receiver's wish: not before so many milliseconds. */
  notBeforeMs?: number;
  retry: RetryPolicy;
  /** From 0 to 1, for the jitter. */
  random: number;
}

export interface DeliveryView {
  state: DeliveryState;
  deliveryId?: string;
  attempts: number;
  lastError?: string;
}

export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 12, baseDelayMs: 1_000, maxDelayMs: 900_000 };
export const DEFAULT_LEASE_MS = 60_000;

/** More undelivered generations than this, dead letters among them, and a restart is refused. */
export const MAX_OUTBOX = 16;
/** For so long, past its time, a delivery waits for whoever drains, and a dead letter for whoever redelivers it. */
export const OWED_MS = 604_800_000;

/** Why a delivery that nobody has tried is not delivered. */
const UNHANDLED = "nobody has come that has its handler, or sends webhooks";
const PASS_BASE_MS = 5_000;
const PASS_MAX_MS = 300_000;
/** For so long drainers pass a delivery by that none of them can make; then it is a dead letter. */
const UNHANDLED_MS = 86_400_000;

const deliveryName = (generation: number): string => `d:${formatInteger(generation)}`;
const snapshotName = (generation: number): string => `s:${formatInteger(generation)}`;

function read(store: Store, generation: number): Delivery | undefined {
  const text = store.get(deliveryName(generation));
  return text === undefined ? undefined : decode<Delivery>(text);
}

function write(store: Store, generation: number, delivery: Delivery): void {
  store.set(deliveryName(generation), encode(delivery));
}

/** Queues a delivery, due at once. */
export function enqueue(
  store: Store,
  head: OutboxHead,
  delivery: { generation: number; id: string; type: string; target: Target; snapshot: string },
): void {
  write(store, delivery.generation, {
    id: delivery.id,
    type: delivery.type,
    route: delivery.target.route,
    body: delivery.target.body,
    state: "pending",
    attempts: 0,
    base: 0,
    fence: 0,
    createdAtMs: store.nowMs,
    queuedAtMs: store.nowMs,
  });
  store.set(snapshotName(delivery.generation), delivery.snapshot);
  head.outbox ??= { due: [], dead: [] };
  head.outbox.due.push({ generation: delivery.generation, atMs: store.nowMs, leased: false, passed: 0 });
}

/** The earliest instant at which the outbox wants to be looked at. */
export function nextDueMs({ outbox }: OutboxHead): number | undefined {
  let next: number | undefined;
  if (outbox === undefined) return next;
  for (const due of outbox.due) {
    if (next === undefined || due.atMs < next) next = due.atMs;
  }
  return next;
}

function close(outbox: Outbox, generation: number): void {
  outbox.due = outbox.due.filter((due) => due.generation !== generation);
}

function bury(store: Store, outbox: Outbox, generation: number, delivery: Delivery, error: string): void {
  delivery.state = "dead";
  delivery.lastError = error;
  write(store, generation, delivery);
  close(outbox, generation);
  outbox.dead.push({ generation, atMs: store.nowMs });
}

/** Claims what is due and what the drainer is able to deliver; puts off the rest without spending an attempt. */
export function claim(store: Store, { outbox }: OutboxHead, input: WokenInput): Claim[] {
  const retry = input.retry ?? DEFAULT_RETRY;
  const claims: Claim[] = [];
  if (outbox === undefined) return claims;
  for (const due of outbox.due.filter((entry) => isClaimable(entry, input, store.nowMs))) {
    const delivery = read(store, due.generation);
    if (delivery === undefined) {
      close(outbox, due.generation);
      continue;
    }
    if (isAgain(due, input, store.nowMs)) {
      claims.push(claimOf(store, due.generation, delivery));
      continue;
    }
    if (input.routes?.includes(delivery.route) !== true) {
      if (input.more !== true) pass(store, outbox, due, delivery);
      continue;
    }
    const spent = delivery.attempts - delivery.base;
    // An attempt that died with its holder failed like any other: a crash that comes again must not spend them all at once.
    if (due.atMs > store.nowMs && spent > 1) {
      due.leased = false;
      due.atMs = store.nowMs + fullJitterMs(retry, spent, 1);
      continue;
    }
    if (spent >= retry.maxAttempts) {
      bury(store, outbox, due.generation, delivery, delivery.lastError ?? "the last attempt never reported back");
      continue;
    }
    delivery.attempts += 1;
    delivery.fence += 1;
    write(store, due.generation, delivery);
    due.atMs = store.nowMs + (input.leaseMs ?? DEFAULT_LEASE_MS);
    due.leased = true;
    due.passed = 0;
    if (input.op !== undefined) due.op = input.op;
    if (input.sole !== undefined) due.holder = input.sole;
    claims.push(claimOf(store, due.generation, delivery));
  }
  return claims;
}

function isClaimable(due: Due, input: WokenInput, nowMs: number): boolean {
  if (due.atMs <= nowMs || isAgain(due, input, nowMs)) return true;
  return due.leased && input.sole !== undefined && due.holder !== input.sole;
}

/** The lease was given to a first copy of this very call, whose reply was lost. */
function isAgain(due: Due, input: WokenInput, nowMs: number): boolean {
  return due.leased && due.atMs > nowMs && input.op !== undefined && due.op === input.op;
}

function claimOf(store: Store, generation: number, delivery: Delivery): Claim {
  return {
    generation,
    deliveryId: delivery.id,
    fence: delivery.fence,
    attempt: delivery.attempts,
    type: delivery.type,
    route: delivery.route,
    body: delivery.body,
    createdAtMs: delivery.createdAtMs,
    snapshot: store.get(snapshotName(generation)) ?? "{}",
  };
}

function pass(store: Store, outbox: Outbox, due: Due, delivery: Delivery): void {
  if (store.nowMs - delivery.queuedAtMs >= UNHANDLED_MS) {
    bury(store, outbox, due.generation, delivery, UNHANDLED);
    return;
  }
  let pauseMs = PASS_BASE_MS;
  for (let i = 0; i < due.passed && pauseMs < PASS_MAX_MS; i++) pauseMs *= 2;
  delivery.lastError = UNHANDLED;
  write(store, due.generation, delivery);
  due.leased = false;
  due.passed += 1;
  due.atMs = store.nowMs + (pauseMs < PASS_MAX_MS ? pauseMs : PASS_MAX_MS);
}

/** Ends an attempt. False: the lease had gone to another, or the delivery was settled otherwise; nothing changed. */
export function settle(store: Store, { outbox }: OutboxHead, input: SettleInput): boolean {
  const delivery = read(store, input.generation);
  if (outbox === undefined || delivery === undefined || delivery.fence !== input.fence) return false;
  // This very call settled it, and its reply was lost.
  if (delivery.state === "delivered" && input.error === undefined) return true;
  if (delivery.state !== "pending") return false;
  if (input.error === undefined) {
    delivery.state = "delivered";
    write(store, input.generation, delivery);
    close(outbox, input.generation);
    return true;
  }
  const spent = delivery.attempts - delivery.base;
  if (input.final === true || spent >= input.retry.maxAttempts) {
    bury(store, outbox, input.generation, delivery, input.error);
    return true;
  }
  delivery.lastError = input.error;
  // The attempt that has ended can settle nothing any more.
  delivery.fence += 1;
  write(store, input.generation, delivery);
  const pauseMs = fullJitterMs(input.retry, spent, input.random);
  const notBeforeMs = input.notBeforeMs ?? 0;
  for (const due of outbox.due) {
    if (due.generation !== input.generation) continue;
    due.leased = false;
    due.atMs = store.nowMs + (pauseMs > notBeforeMs ? pauseMs : notBeforeMs);
  }
  return true;
}

/** What the outbox still owes: the generations whose delivery is pending or dead. */
export function owedGenerations({ outbox }: OutboxHead): number[] {
  const generations: number[] = [];
  if (outbox === undefined) return generations;
  for (const { generation } of outbox.due) generations.push(generation);
  for (const { generation } of outbox.dead) generations.push(generation);
  return generations;
}

/** The last instant at which somebody may still want to deliver; `undefined` when nothing is owed. */
export function owedUntilMs({ outbox }: OutboxHead): number | undefined {
  let until: number | undefined;
  if (outbox === undefined) return until;
  const reach = (atMs: number): void => {
    if (until === undefined || atMs > until) until = atMs;
  };
  for (const { atMs } of outbox.due) reach(atMs + OWED_MS);
  for (const { atMs } of outbox.dead) reach(atMs + OWED_MS);
  return until;
}

/** Queues again this generation's delivery, dead or delivered, and the dead letters of earlier ones. */
export function redeliverAll(store: Store, { outbox }: OutboxHead, generation: number): void {
  if (outbox === undefined) return;
  const dead = outbox.dead;
  outbox.dead = [];
  for (const letter of dead) {
    if (letter.generation !== generation) requeue(store, outbox, letter.generation);
  }
  requeue(store, outbox, generation);
}

/**
 * Queues a delivery again, with a fresh allowance of attempts. One that waits for its next attempt becomes due now; one
 * whose attempt is under way is left alone.
 */
function requeue(store: Store, outbox: Outbox, generation: number): void {
  const delivery = read(store, generation);
  if (delivery === undefined) return;
  for (const due of outbox.due) {
    if (due.generation === generation && due.leased) return;
  }
  close(outbox, generation);
  delivery.state = "pending";
  // An attempt from before, told of late, settles nothing of the new delivery.
  delivery.fence += 1;
  delivery.base = delivery.attempts;
  delivery.queuedAtMs = store.nowMs;
  write(store, generation, delivery);
  outbox.due.push({ generation, atMs: store.nowMs, leased: false, passed: 0 });
}

/** What a generation's status says of its delivery. */
export function describe(store: Store, generation: number): DeliveryView {
  const delivery = read(store, generation);
  if (delivery === undefined) return { state: "none", attempts: 0 };
  const view: DeliveryView = { state: delivery.state, deliveryId: delivery.id, attempts: delivery.attempts };
  if (delivery.lastError !== undefined) view.lastError = delivery.lastError;
  return view;
}

/** The members of a generation's delivery, for a record that begins anew and takes them along. */
export function deliveryMembers(generation: number): string[] {
  return [deliveryName(generation), snapshotName(generation)];
}
