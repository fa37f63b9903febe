import { decode, encode, formatInteger } from "../host.js";
import type { Store } from "../store.js";
import { isWebhook } from "./routes.js";

/**
 * A record's outbox: its pending deliveries, one a generation. The transition that ends a group also queues its
 * delivery here. `attempts.ts` makes the attempts.
 */

/** Where a delivery goes. */
export interface Target {
  /** The route that a process must be able to deliver to: `handler:NAME`, `url`, or `request`. */
  route: string;
  /** Further data for the process that delivers. The core does not read it. */
  body: string;
}

/** Targets by the end that they are for. `end` receives every end that has no target of its own. */
export interface Targets {
  complete?: Target;
  timeout?: Target;
  end?: Target;
}

/** The state of a delivery. `dead`: a dead letter, until it is redelivered. */
export type DeliveryState = "none" | "pending" | "delivered" | "dead";

/** A delivery, stored as the member `d:GENERATION`. The member `s:GENERATION` holds the group's status that it reports. */
export interface Delivery {
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
  lastError?: string;
}

/** An entry in the record's head: when to look at a delivery again. */
export interface Due {
  generation: number;
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
  generation: number;
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
}

/** A restart is refused while a record has this many undelivered generations, dead letters included. */
export const MAX_OUTBOX = 16;
/** How long an overdue delivery and a dead letter are kept: seven days. */
export const OWED_MS = 604_800_000;

const deliveryName = (generation: number): string => `d:${formatInteger(generation)}`;
const snapshotName = (generation: number): string => `s:${formatInteger(generation)}`;

export function read(store: Store, generation: number): Delivery | undefined {
  const text = store.get(deliveryName(generation));
  return text === undefined ? undefined : decode<Delivery>(text);
}

export function write(store: Store, generation: number, delivery: Delivery): void {
  store.set(deliveryName(generation), encode(delivery));
}

/** Returns the group's status at the end of the generation, as text. */
export function snapshotOf(store: Store, generation: number): string {
  return store.get(snapshotName(generation)) ?? "{}";
}

/** Queues a delivery that is due at once. */
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

/** Returns when the next entry of the outbox is due. */
export function nextDueMs({ outbox }: OutboxHead): number | undefined {
  let next: number | undefined;
  if (outbox === undefined) return next;
  for (const due of outbox.due) {
    if (next === undefined || due.atMs < next) next = due.atMs;
  }
  return next;
}

export function close(outbox: Outbox, generation: number): void {
  outbox.due = outbox.due.filter((due) => due.generation !== generation);
}

/** Removes the dead letters that were not redelivered within seven days. */
export function forgetDead({ outbox }: OutboxHead, nowMs: number): void {
  if (outbox !== undefined) outbox.dead = outbox.dead.filter(({ atMs }) => atMs + OWED_MS > nowMs);
}

/** Returns the generations whose delivery is pending or dead. */
export function owedGenerations({ outbox }: OutboxHead): number[] {
  const generations: number[] = [];
  if (outbox === undefined) return generations;
  for (const { generation } of outbox.due) generations.push(generation);
  for (const { generation } of outbox.dead) generations.push(generation);
  return generations;
}

/** Returns when the last pending delivery or dead letter expires; `undefined` when there is none. */
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

/** Queues again this generation's delivery, dead or delivered, and the dead letters of earlier generations. */
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
 * Queues a delivery again, with a full number of attempts. A delivery that waits for its next attempt becomes due now.
 * A delivery whose attempt is under way is left unchanged.
 */
function requeue(store: Store, outbox: Outbox, generation: number): void {
  const delivery = read(store, generation);
  if (delivery === undefined) return;
  for (const due of outbox.due) {
    if (due.generation === generation && due.leased) return;
  }
  close(outbox, generation);
  delivery.state = "pending";
  // The fencing token changes, so that a late settlement of an earlier attempt has no effect.
  delivery.fence += 1;
  delivery.base = delivery.attempts;
  delivery.queuedAtMs = store.nowMs;
  write(store, generation, delivery);
  outbox.due.push({ generation, atMs: store.nowMs, leased: false, passed: 0 });
}

/** Returns why drains postpone a delivery. */
export function unhandledReason(route: string): string {
  return isWebhook(route) ? "no running instance sends webhooks" : `no running instance has ${route}`;
}

/** Returns the delivery part of a generation's status. The error of an attempt takes precedence over a missing handler. */
export function describe(store: Store, { outbox }: OutboxHead, generation: number): DeliveryView {
  const delivery = read(store, generation);
  if (delivery === undefined) return { state: "none", attempts: 0 };
  const view: DeliveryView = { state: delivery.state, deliveryId: delivery.id, attempts: delivery.attempts };
  if (delivery.lastError !== undefined) {
    view.lastError = delivery.lastError;
    return view;
  }
  for (const due of outbox?.due ?? []) {
    if (due.generation === generation && due.unhandled !== undefined) view.lastError = unhandledReason(delivery.route);
  }
  return view;
}

/** Returns the members of a generation's delivery. A restarted record keeps them. */
export function deliveryMembers(generation: number): string[] {
  return [deliveryName(generation), snapshotName(generation)];
}
