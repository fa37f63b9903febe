import { decode, encode, formatInteger } from "../host.js";
import type { Store } from "../store.js";
import { isWebhook } from "./routes.js";

/**
 * A record's outbox: its pending deliveries, at most one of each kind a generation. The transition that ends a group
 * also queues its deliveries here. `attempts.ts` makes the attempts.
 */

/** Where a delivery goes. */
export interface Target {
  /** The route that a process must be able to deliver to: `handler:NAME`, `url`, `task` or `cascade`. */
  route: string;
  /** Further data for the process that delivers. The core does not read it. */
  body: string;
}

/** Targets by the end that they are for. `end` receives every end that has no target of its own. */
export interface Targets {
  success?: Target;
  failure?: Target;
  complete?: Target;
  timeout?: Target;
  end?: Target;
}

/** The deliveries of a generation at its end: its callback, its parent's task, and the cancellation of its child groups. */
export type DeliveryKind = "callback" | "parent" | "cascade";

const KINDS: readonly DeliveryKind[] = ["callback", "parent", "cascade"];

/** The state of a delivery. `dead`: a dead letter, until it is redelivered. */
export type DeliveryState = "none" | "pending" | "delivered" | "dead";

/** A delivery, stored as the member `d:KEY`. The member `s:KEY` holds the group's status that it reports. */
export interface Delivery {
  generation: number;
  id: string;
  type: string;
  route: string;
  body: string;
  state: "pending" | "delivered" | "dead";
  attempts: number;
  /** How many attempts had been made when the delivery was queued, or queued again. */
  base: number;
  /** The fencing token. Only the newest claim may settle. */
  fence: number;
  /** The fencing token of the claim that settled last. */
  settled?: number;
  createdAtMs: number;
  queuedAtMs: number;
  lastError?: string | undefined;
  /** Which lists of child groups it needs. */
  children?: ChildLists | undefined;
  /** The trace contexts of the registration, and of the ack that ended the group. */
  registerTrace?: string | undefined;
  endTrace?: string | undefined;
}

/** The lists of child groups of one chain of generations: numbered from 1. */
export interface ChildLists {
  chain: number;
  lists: number;
}

/** An entry in the record's head: when to look at a delivery again. */
export interface Due {
  /** The key of the delivery. */
  key: string;
  atMs: number;
  /**
   * An attempt is under way, and its lease ends at `atMs`. `holder` is the incarnation that holds it; `op` is the call
   * that claimed it.
   */
  leased: boolean;
  holder?: string;
  op?: string;
  /** How many drains in a row lacked its handler. */
  passed: number;
  /** Its last claim was handed back unsent. A process with free capacity may claim it before `atMs`. */
  unsent?: boolean;
  /** Present while drains lack its handler. Each claim removes it. */
  unhandled?: Unhandled | undefined;
}

/** A row of drains that lack a delivery's handler. */
export interface Unhandled {
  /** When the first of these drains ran. */
  sinceMs: number;
  /** When the delivery was last reported as `unhandled`, and by which call. */
  toldAtMs: number;
  op?: string | undefined;
}

/** An entry in the record's head about a dead letter. */
export interface Dead {
  key: string;
  atMs: number;
  /** Present when a drain made it a dead letter without an attempt: the call, and the error that it reported. */
  told?: { op: string; error: string };
}

/** The pending deliveries and the dead letters of this generation and of earlier ones. */
export interface Outbox {
  due: Due[];
  dead: Dead[];
}

/** A head with an outbox. Absent before the first delivery. */
export interface OutboxHead {
  outbox?: Outbox;
}

export interface DeliveryView {
  state: DeliveryState;
  deliveryId?: string;
  attempts: number;
  lastError?: string;
  /** When the next attempt is due. While an attempt is under way: when its lease ends. */
  nextAttemptAtMs?: number;
}

/** A restart is refused while a record has this many pending deliveries, dead letters included. */
export const MAX_OUTBOX = 16;
/** How long an overdue delivery and a dead letter are kept: seven days. */
export const PENDING_MS = 604_800_000;

/** Returns the key of a delivery, by which its record and its claim name it. */
export function deliveryKey(generation: number, kind: DeliveryKind): string {
  const digits = formatInteger(generation);
  return kind === "callback" ? digits : `${digits}-${kind}`;
}

const deliveryName = (key: string): string => `d:${key}`;
const snapshotName = (key: string): string => `s:${key}`;

export function read(store: Store, key: string): Delivery | undefined {
  const text = store.get(deliveryName(key));
  return text === undefined ? undefined : decode<Delivery>(text);
}

export function write(store: Store, key: string, delivery: Delivery): void {
  store.set(deliveryName(key), encode(delivery));
}

/** Returns the group's status at the end of the generation, as text. */
export function snapshotOf(store: Store, key: string): string {
  return store.get(snapshotName(key)) ?? "{}";
}

/** Queues a delivery that is due at once. */
export function enqueue(
  store: Store,
  head: OutboxHead,
  delivery: {
    generation: number;
    kind: DeliveryKind;
    id: string;
    type: string;
    target: Target;
    snapshot: string;
    children?: ChildLists;
    registerTrace: string | undefined;
    endTrace: string | undefined;
  },
): void {
  const key = deliveryKey(delivery.generation, delivery.kind);
  write(store, key, {
    generation: delivery.generation,
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
    children: delivery.children,
    registerTrace: delivery.registerTrace,
    endTrace: delivery.endTrace,
  });
  store.set(snapshotName(key), delivery.snapshot);
  head.outbox ??= { due: [], dead: [] };
  head.outbox.due.push({ key, atMs: store.nowMs, leased: false, passed: 0 });
}

/** Returns when the next entry of the outbox is due. */
export function nextDueMs({ outbox }: OutboxHead): number | undefined {
  let next: number | undefined;
  if (outbox === undefined) return next;
  for (const due of outbox.due) {
    if (next === undefined || due.atMs < next) next = due.atMs;
  }
  return next;
}

export function close(outbox: Outbox, key: string): void {
  outbox.due = outbox.due.filter((due) => due.key !== key);
}

/** Removes the dead letters that were not redelivered within seven days. */
export function forgetDead({ outbox }: OutboxHead, nowMs: number): void {
  if (outbox !== undefined) outbox.dead = outbox.dead.filter(({ atMs }) => atMs + PENDING_MS > nowMs);
}

/** Returns the keys of the deliveries that are pending or dead. */
export function pendingKeys({ outbox }: OutboxHead): string[] {
  const keys: string[] = [];
  if (outbox === undefined) return keys;
  for (const { key } of outbox.due) keys.push(key);
  for (const { key } of outbox.dead) keys.push(key);
  return keys;
}

/** Returns when the last pending delivery or dead letter expires; `undefined` when there is none. */
export function pendingUntilMs({ outbox }: OutboxHead): number | undefined {
  let until: number | undefined;
  if (outbox === undefined) return until;
  const reach = (atMs: number): void => {
    if (until === undefined || atMs > until) until = atMs;
  };
  for (const { atMs } of outbox.due) reach(atMs + PENDING_MS);
  for (const { atMs } of outbox.dead) reach(atMs + PENDING_MS);
  return until;
}

/** Queues again this generation's deliveries, dead or delivered, and the dead letters of earlier generations. */
export function redeliverAll(store: Store, { outbox }: OutboxHead, generation: number): boolean {
  if (outbox === undefined) return false;
  const keys: string[] = [];
  for (const { key } of outbox.dead) keys.push(key);
  outbox.dead = [];
  for (const kind of KINDS) {
    const key = deliveryKey(generation, kind);
    if (!keys.includes(key)) keys.push(key);
  }
  let queued = false;
  for (const key of keys) {
    if (requeue(store, outbox, key)) queued = true;
  }
  return queued;
}

/**
 * Queues a delivery again, with a full number of attempts. A delivery that waits for its next attempt becomes due now.
 * A delivery whose attempt is under way is left unchanged. Returns whether it was queued.
 */
function requeue(store: Store, outbox: Outbox, key: string): boolean {
  const delivery = read(store, key);
  if (delivery === undefined) return false;
  for (const due of outbox.due) {
    if (due.key === key && due.leased) return false;
  }
  close(outbox, key);
  delivery.state = "pending";
  // The fencing token changes, so that a late settlement of an earlier attempt has no effect.
  delivery.fence += 1;
  delivery.base = delivery.attempts;
  delivery.queuedAtMs = store.nowMs;
  write(store, key, delivery);
  outbox.due.push({ key, atMs: store.nowMs, leased: false, passed: 0 });
  return true;
}

/** Returns why drains postpone a delivery. */
export function unhandledReason(route: string): string {
  return isWebhook(route) ? "no running instance sends webhooks" : `no running instance has ${route}`;
}

/**
 * Returns the delivery part of a generation's status: the callback, or without one the parent's task. The error of an
 * attempt takes precedence over a missing handler.
 */
export function describe(store: Store, { outbox }: OutboxHead, generation: number): DeliveryView {
  for (const kind of SHOWN_KINDS) {
    const key = deliveryKey(generation, kind);
    const delivery = read(store, key);
    if (delivery !== undefined) return viewOf(delivery, outbox, key);
  }
  return { state: "none", attempts: 0 };
}

/** Returns the members that `describe` reads, to be loaded with others. */
export const describedMembers = (generation: number): string[] =>
  SHOWN_KINDS.map((kind) => deliveryName(deliveryKey(generation, kind)));

const SHOWN_KINDS: readonly DeliveryKind[] = ["callback", "parent"];

function viewOf(delivery: Delivery, outbox: Outbox | undefined, key: string): DeliveryView {
  const view: DeliveryView = { state: delivery.state, deliveryId: delivery.id, attempts: delivery.attempts };
  if (delivery.lastError !== undefined) view.lastError = delivery.lastError;
  for (const due of outbox?.due ?? []) {
    if (due.key !== key) continue;
    view.nextAttemptAtMs = due.atMs;
    if (view.lastError === undefined && due.unhandled !== undefined) view.lastError = unhandledReason(delivery.route);
  }
  return view;
}

/** Returns the members of all pending deliveries. A restarted record keeps them. */
export function deliveryMembers(head: OutboxHead): string[] {
  const names: string[] = [];
  for (const key of pendingKeys(head)) {
    names.push(deliveryName(key));
    names.push(snapshotName(key));
  }
  return names;
}
