import { decode, encode, formatInteger } from "../host.js";
import type { Store } from "../store.js";
import { isWebhook } from "./routes.js";

/**
 * A record's outbox: what it still owes to the world, one delivery a generation. The step that ends a group also writes
 * its delivery here; `attempts.ts` says how it is made.
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

/** Where a delivery stands. `dead`: given up, until it is redelivered. */
export type DeliveryState = "none" | "pending" | "delivered" | "dead";

/** A delivery, stored as the member `d:GENERATION`; the status it tells of stands in `s:GENERATION`. */
export interface Delivery {
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
  /** The claim that settled last. */
  settled?: number;
  createdAtMs: number;
  queuedAtMs: number;
  lastError?: string;
}

/** A line of the outbox in the record's head: when to look at which delivery again. */
export interface Due {
  generation: number;
  atMs: number;
  /** An attempt is under way; at `atMs` its lease ends. Who holds it, and by which call. */
  leased: boolean;
  holder?: string;
  op?: string;
  /** How many drains in a row lacked its handler. */
  passed: number;
  /** Its last claim was handed back unsent: who has room for it need not wait until `atMs`. */
  unsent?: boolean;
  /** Present while drains lack its handler. Each claim removes it. */
  unhandled?: Unhandled | undefined;
}

/** A row of drains that lack a delivery's handler. */
export interface Unhandled {
  /** When the first of them came. */
  sinceMs: number;
  /** When it was last reported, and by which drainer's call. */
  toldAtMs: number;
  op?: string | undefined;
}

/** A line of the outbox about a dead letter. */
export interface Dead {
  generation: number;
  atMs: number;
  /** Present where a drain gave it up: by which call, and what that had to report. */
  told?: { op: string; error: string };
}

/** What a record owes, or has given up on, of this generation and of earlier ones. */
export interface Outbox {
  due: Due[];
  dead: Dead[];
}

/** A head with an outbox, once there has been a delivery. */
export interface OutboxHead {
  outbox?: Outbox;
}

export interface DeliveryView {
  state: DeliveryState;
  deliveryId?: string;
  attempts: number;
  lastError?: string;
}

/** More undelivered generations than this, dead letters among them, and a restart is refused. */
export const MAX_OUTBOX = 16;
/** For so long, past its time, a delivery waits for whoever drains, and a dead letter for whoever redelivers it. */
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

/** The status at the end of the generation, as text. */
export function snapshotOf(store: Store, generation: number): string {
  return store.get(snapshotName(generation)) ?? "{}";
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

export function close(outbox: Outbox, generation: number): void {
  outbox.due = outbox.due.filter((due) => due.generation !== generation);
}

/** Forgets the dead letters that nobody has redelivered in their time. */
export function forgetDead({ outbox }: OutboxHead, nowMs: number): void {
  if (outbox !== undefined) outbox.dead = outbox.dead.filter(({ atMs }) => atMs + OWED_MS > nowMs);
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

/** Why a delivery that drains pass by is not attempted. */
export function unhandledReason(route: string): string {
  return isWebhook(route) ? "no running instance sends webhooks" : `no running instance has ${route}`;
}

/** What a generation's status says of its delivery. An attempt's own error comes before the lack of a handler. */
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

/** The members of a generation's delivery, for a record that begins anew and takes them along. */
export function deliveryMembers(generation: number): string[] {
  return [deliveryName(generation), snapshotName(generation)];
}
