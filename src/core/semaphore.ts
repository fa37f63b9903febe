import type { Store } from "./store.js";

/**
 * The permits of one key. A call has one operation id throughout. It is granted a permit, or takes a place in line. When a
 * permit becomes free, the first in line is *offered* it. The lease begins when that caller acquires again.
 *
 * Every step first brings the record up to date: it ends leases and offers, skips places without a caller, and offers
 * free permits in the order of the line.
 */
interface SemaphoreHead {
  /** The last fencing token. */
  token: number;
  held: Held[];
  line: Place[];
  /** The last operations that are over. A late copy of their `acquire` takes nothing. */
  over: Over[];
}

interface Held {
  op: string;
  token: number;
  untilMs: number;
}

interface Place {
  op: string;
  /** How many permits there are, as this caller knows it. */
  permits: number;
  seenAtMs: number;
  offeredAtMs?: number;
  /** This caller knows that it is the first in line. */
  first: boolean;
}

interface Over {
  op: string;
  atMs: number;
  /** A release gave the permit back. Copies of the release return so too. */
  released?: boolean;
}

export interface AcquireInput {
  op: string;
  /** 1 to `MAX_PERMITS`. */
  permits: number;
  leaseMs: number;
  /** Takes a place in line when no permit is free. */
  queue: boolean;
}

/**
 * `granted`: the caller holds a permit. `queued`: it has a place in line. `busy`: no permit is free, and the caller does
 * not queue. `full`: the line is full. `over`: this call's permit was released, or its lease has ended.
 */
export interface AcquireOutput {
  outcome: "granted" | "queued" | "busy" | "full" | "over";
  /** The fencing token of a permit. */
  token?: number;
  /** How long the lease lasts from now. */
  leftMs?: number;
  /** Until the first lease ends, for `busy` and `full`. */
  retryAfterMs?: number;
}

export interface StatusOutput {
  /** The last fencing token; 0 before the first. */
  token: number;
  holders: { op: string; token: number; leftMs: number }[];
  /** The first in line: `MAX_LISTED` at most. */
  waiters: { op: string; offered: boolean; silentMs: number }[];
  /** How many callers are in line. */
  waiting: number;
}

/** How many permits a key has at most. */
export const MAX_PERMITS = 256;
/** How many callers wait for a key at most. */
export const MAX_WAITERS = 1_000;
/** How many of them a status lists. */
export const MAX_LISTED = 100;
/** An offered permit is kept for its caller this long. */
const OFFER_MS = 10_000;
/** A place lapses this long after its caller last looked. */
const PLACE_MS = 35_000;
/** A look within a quarter of that time writes nothing. */
const RENEW_MS = 8_750;
/** How long an operation that is over is known, and how many are. */
const OVER_MS = 60_000;
const MAX_OVER = 64;
/** A record outlives its token by a day: a token falls only if the clock goes back by more. */
const KEPT_MS = 86_400_000;

function acquire(store: Store, input: AcquireInput): AcquireOutput {
  const head = open(store);
  if (update(store, head, input.op)) save(store, head);
  if (head.over.some(({ op }) => op === input.op)) return { outcome: "over" };
  const held = head.held.find(({ op }) => op === input.op);
  if (held !== undefined) return { outcome: "granted", token: held.token, leftMs: held.untilMs - store.nowMs };
  const place = head.line.find(({ op }) => op === input.op);
  if (place !== undefined) {
    place.permits = input.permits;
    offer(store, head);
    if (place.offeredAtMs !== undefined) return grant(store, head, input);
    save(store, head);
    return { outcome: "queued" };
  }
  const isFirst = head.line.every(({ offeredAtMs }) => offeredAtMs !== undefined);
  // Each offer in the line counts as a permit.
  if (isFirst && head.held.length + head.line.length < input.permits) return grant(store, head, input);
  if (!input.queue || head.line.length >= MAX_WAITERS) return refused(store, head, input.queue);
  head.line.push({ op: input.op, permits: input.permits, seenAtMs: store.nowMs, first: isFirst });
  save(store, head);
  return { outcome: "queued" };
}

function grant(store: Store, head: SemaphoreHead, { op, leaseMs }: AcquireInput): AcquireOutput {
  head.line = head.line.filter((place) => place.op !== op);
  head.token = Math.max(head.token + 1, store.nowMs);
  head.held.push({ op, token: head.token, untilMs: store.nowMs + leaseMs });
  save(store, head);
  return { outcome: "granted", token: head.token, leftMs: leaseMs };
}

function refused(store: Store, head: SemaphoreHead, queue: boolean): AcquireOutput {
  const outcome = queue ? "full" : "busy";
  const endMs = earliestEndMs(head);
  return endMs === undefined ? { outcome } : { outcome, retryAfterMs: endMs - store.nowMs };
}

/** Begins the lease anew, if the caller still holds it. */
function extend(store: Store, input: { op: string; leaseMs: number }): { held: boolean } {
  const head = open(store);
  if (update(store, head, "")) save(store, head);
  const held = head.held.find(({ op }) => op === input.op);
  if (held === undefined) return { held: false };
  held.untilMs = store.nowMs + input.leaseMs;
  save(store, head);
  return { held: true };
}

/**
 * Gives a permit or a place back. Remembers the operation from now on, also one that is unknown or was over before: copies
 * of its `acquire` may still be under way. A copy of a release has the output of the first.
 */
function release(store: Store, input: { op: string }): { released: boolean } {
  const head = open(store);
  // The released permit is offered in the same step.
  prune(store, head);
  const isHeld = head.held.some(({ op }) => op === input.op);
  const released = isHeld || head.over.some((over) => over.op === input.op && over.released === true);
  head.held = head.held.filter(({ op }) => op !== input.op);
  dropPlace(store, head, input.op);
  head.over = head.over.filter(({ op }) => op !== input.op);
  end(store, head, input.op);
  if (released) head.over[head.over.length - 1]!.released = true;
  offer(store, head);
  save(store, head);
  return { released };
}

/** Gives a place in line back, and never a permit. The operation may take a place again. */
function leave(store: Store, input: { op: string }): { left: boolean } {
  const head = open(store);
  if (!head.line.some(({ op }) => op === input.op)) return { left: false };
  prune(store, head);
  dropPlace(store, head, input.op);
  offer(store, head);
  save(store, head);
  return { left: true };
}

/** Another request of the same caller may wait for this place. */
function dropPlace(store: Store, head: SemaphoreHead, op: string): void {
  const before = head.line.length;
  head.line = head.line.filter((place) => place.op !== op);
  if (head.line.length < before) store.notify(op);
}

/** Lists the callers that hold a permit, and those that wait. */
function status(store: Store, _input: object): StatusOutput {
  const head = open(store);
  if (update(store, head, "")) save(store, head);
  const holders: StatusOutput["holders"] = [];
  for (const { op, token, untilMs } of head.held) holders.push({ op, token, leftMs: untilMs - store.nowMs });
  const waiters: StatusOutput["waiters"] = [];
  for (const { op, seenAtMs, offeredAtMs } of head.line) {
    if (waiters.length >= MAX_LISTED) break;
    waiters.push({ op, offered: offeredAtMs !== undefined, silentMs: Math.max(0, store.nowMs - seenAtMs) });
  }
  return { token: head.token, holders, waiters, waiting: head.line.length };
}

/**
 * The output that a caller in line watches: ready once it is offered a permit, holds one, or has lost its place. Looking
 * keeps the place.
 */
function turn(store: Store, input: { op: string }): { ready: boolean; version: number; recheckInMs?: number } {
  const head = open(store);
  const version = head.token;
  if (update(store, head, input.op)) save(store, head);
  const place = head.line.find(({ op }) => op === input.op);
  if (place === undefined || place.offeredAtMs !== undefined) return { ready: true, version };
  const endMs =
    place === head.line.find(({ offeredAtMs }) => offeredAtMs === undefined) ? earliestEndMs(head) : undefined;
  const endsInMs = endMs === undefined ? PLACE_MS : endMs - store.nowMs;
  return { ready: false, version, recheckInMs: Math.min(endsInMs, RENEW_MS) };
}

/** The timer rang: a lease or an offer is over. */
function woken(store: Store, _input: object): { changed: boolean } {
  const head = store.head<SemaphoreHead>();
  if (head === undefined) return { changed: false };
  const changed = update(store, head, "");
  save(store, head);
  return { changed };
}

function open(store: Store): SemaphoreHead {
  return store.head<SemaphoreHead>() ?? { token: 0, held: [], line: [], over: [] };
}

/** Keeps the caller's own place, and brings the record up to date. Returns whether it changed. */
function update(store: Store, head: SemaphoreHead, op: string): boolean {
  let changed = false;
  for (const place of head.line) {
    if (place.op === op && store.nowMs - place.seenAtMs >= RENEW_MS) {
      place.seenAtMs = store.nowMs;
      changed = true;
    }
  }
  if (prune(store, head)) changed = true;
  return offer(store, head) || changed;
}

/** Ends leases and offers that are over, and removes places without a caller. Returns whether there were any. */
function prune(store: Store, head: SemaphoreHead): boolean {
  const { nowMs } = store;
  const before = head.held.length + head.line.length;
  const held: Held[] = [];
  head.over = head.over.filter(({ atMs }) => atMs + OVER_MS > nowMs);
  for (const one of head.held) {
    if (one.untilMs > nowMs) held.push(one);
    else end(store, head, one.op);
  }
  head.held = held;
  head.line = head.line.filter(({ seenAtMs, offeredAtMs }) =>
    offeredAtMs === undefined ? seenAtMs + PLACE_MS > nowMs : offeredAtMs + OFFER_MS > nowMs,
  );
  return head.held.length + head.line.length !== before;
}

/** Remembers an operation that is over. */
function end(store: Store, head: SemaphoreHead, op: string): void {
  head.over.push({ op, atMs: store.nowMs });
  if (head.over.length > MAX_OVER) head.over.shift();
}

/** Offers free permits in the order of the line: no caller overtakes the first. Returns whether the line changed. */
function offer(store: Store, head: SemaphoreHead): boolean {
  let changed = false;
  let taken = head.held.length;
  for (const { offeredAtMs } of head.line) if (offeredAtMs !== undefined) taken += 1;
  for (const place of head.line) {
    if (place.offeredAtMs === undefined) {
      if (taken >= place.permits) break;
      place.offeredAtMs = store.nowMs;
      taken += 1;
      changed = true;
      store.notify(place.op);
    }
  }
  const first = head.line.find(({ offeredAtMs }) => offeredAtMs === undefined);
  // The first in line looks again when a lease ends. It is notified once that it is the first.
  if (first !== undefined && !first.first) {
    first.first = true;
    changed = true;
    store.notify(first.op);
  }
  return changed;
}

/** The earliest end of a lease or of an offer. */
function earliestEndMs({ held, line }: SemaphoreHead): number | undefined {
  let earliestMs: number | undefined;
  for (const { untilMs } of held) {
    if (earliestMs === undefined || untilMs < earliestMs) earliestMs = untilMs;
  }
  for (const { offeredAtMs } of line) {
    const endMs = offeredAtMs === undefined ? undefined : offeredAtMs + OFFER_MS;
    if (endMs !== undefined && (earliestMs === undefined || endMs < earliestMs)) earliestMs = endMs;
  }
  return earliestMs;
}

function save(store: Store, head: SemaphoreHead): void {
  store.put(head);
  // Without a line, the next caller ends what is over.
  store.wakeAt(head.line.length === 0 ? undefined : earliestEndMs(head));
  store.keepUntil(Math.max(store.nowMs, head.token) + KEPT_MS, KEPT_MS);
}

export const semaphore = { acquire, extend, release, leave, turn, status, woken };
