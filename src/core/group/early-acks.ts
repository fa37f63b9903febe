import { decode, encode } from "../host.js";
import type { Store } from "../store.js";
import { type EarlyAcks, type EarlySlots, numbered, type TaskAck } from "./record.js";
import { type Mark, markName, markText, readMark } from "./task-set.js";

/**
 * Acks of tasks that are not announced yet. Before the registration they are kept for a limited time; in a growing
 * group, until the group ends. An announcement counts them.
 *
 * Each early ack has a slot, the member `y:N`. The numbers up to `MAX_EARLY` hold acks without a result, an error or next
 * tasks; the numbers after it hold the others. A slot whose ack was counted or has expired is used again.
 */

/** How many early acks one record keeps. They take no room of announced tasks. */
export const MAX_EARLY = 10_000;
/** How many acks with a result, an error or next tasks are kept in addition. One registration counts them all. */
export const MAX_EARLY_BODIES = 1_000;
/** How many slots one read of the search for a free slot loads. */
const LOOKED_AT_ONCE = 16;

/** The head of a record that holds early acks, and no group. */
export interface EarlyHead {
  state: "early";
  early: EarlyAcks;
  /** How many calls have brought next tasks. */
  nexts: number;
  /** When the last early ack expires. */
  untilMs: number;
}

export interface EarlyAck extends TaskAck {
  op: string;
  /** Its position among all early acks. A registration counts them in this order. */
  n?: number;
  /** The epoch of a failure. */
  epoch?: number;
  /** The member that holds the tasks that follow this one. */
  next?: string;
  /** When it expires. Absent in a growing group. */
  untilMs?: number;
}

export const noEarlyHead = (): EarlyHead => ({ state: "early", early: noEarlyAcks(), nexts: 0, untilMs: 0 });

export const noEarlyAcks = (): EarlyAcks => ({ plain: noSlots(), bodies: noSlots(), kept: 0 });

const noSlots = (): EarlySlots => ({ used: 0, waiting: 0, failures: 0, at: 0, fullUntilMs: 0 });

/** Where an early ack is kept: the acks of the record, and the member and the mark of its task. */
export interface EarlyPlace {
  acks: EarlyAcks;
  name: string;
  mark: Mark;
  epoch: number;
}

/** Keeps an early ack. Returns false when there is no room. The first ack of a task counts; its copies extend its time. */
export function keepEarly(store: Store, { acks, name, mark, epoch }: EarlyPlace, ack: EarlyAck): boolean {
  const before = mark.state === "early" ? readEarly(store, mark.number) : undefined;
  if (before !== undefined && !isExpired(before, store.nowMs)) {
    if (ack.untilMs !== undefined && before.untilMs !== undefined && ack.untilMs > before.untilMs) {
      before.untilMs = ack.untilMs;
      store.set(numbered("y", mark.number), encode(before));
    }
    return true;
  }
  if (before !== undefined) free(store, acks, { number: mark.number, ack: before });
  const isPlain = ack.result === undefined && ack.error === undefined && ack.next === undefined;
  const slots = isPlain ? acks.plain : acks.bodies;
  const number = freeSlot(store, {
    slots,
    epoch,
    expires: ack.untilMs !== undefined,
    first: isPlain ? 0 : MAX_EARLY,
    size: isPlain ? MAX_EARLY : MAX_EARLY_BODIES,
  });
  if (number === 0) return false;
  acks.kept += 1;
  slots.waiting += 1;
  const isFailure = ack.error !== undefined;
  ack.n = acks.kept;
  if (isFailure) {
    slots.failures += 1;
    ack.epoch = epoch;
  }
  store.set(numbered("y", number), encode(ack));
  store.set(name, markText(epoch, { state: "early", number, op: ack.op, isFailure }));
  return true;
}

/** Takes an early ack out to count it; `undefined` when it has expired. */
export function takeEarly(store: Store, acks: EarlyAcks, number: number): EarlyAck | undefined {
  const ack = readEarly(store, number);
  if (ack === undefined) return undefined;
  free(store, acks, { number, ack });
  return isExpired(ack, store.nowMs) ? undefined : ack;
}

/** Returns the early acks of a record that is registered now, in the order of arrival. */
export function earlyAcksOf(store: Store, { plain, bodies }: EarlyAcks): EarlyAck[] {
  const names: string[] = [];
  for (let n = 1; n <= plain.used; n++) names.push(numbered("y", n));
  for (let n = 1; n <= bodies.used; n++) names.push(numbered("y", MAX_EARLY + n));
  store.load(names);
  const acks: EarlyAck[] = [];
  for (const name of names) {
    const text = store.get(name);
    const ack = text === undefined ? undefined : decode<EarlyAck>(text);
    if (ack !== undefined && !isExpired(ack, store.nowMs)) acks.push(ack);
  }
  return acks.sort((a, b) => (a.n ?? 0) - (b.n ?? 0));
}

/** Forgets the early failures of earlier epochs. Their slots are found free later. */
export function dropEarlyFailures(acks: EarlyAcks): void {
  for (const slots of [acks.plain, acks.bodies]) {
    slots.waiting -= slots.failures;
    slots.failures = 0;
  }
}

function readEarly(store: Store, number: number): EarlyAck | undefined {
  const text = store.get(numbered("y", number));
  return text === undefined ? undefined : decode<EarlyAck>(text);
}

function free(store: Store, acks: EarlyAcks, { number, ack }: { number: number; ack: EarlyAck }): void {
  const slots = number > MAX_EARLY ? acks.bodies : acks.plain;
  store.remove(numbered("y", number));
  slots.waiting -= 1;
  if (ack.error !== undefined) slots.failures -= 1;
  if (slots.waiting > 0) return;
  slots.used = 0;
  slots.at = 0;
}

/** The slots of one kind, and where their numbers begin. */
interface SlotRange {
  slots: EarlySlots;
  epoch: number;
  /** The acks of this record expire: those of an unregistered group. */
  expires: boolean;
  first: number;
  size: number;
}

/** Returns the number of a free slot; 0 when all are in use. */
function freeSlot(store: Store, { slots, epoch, expires, first, size }: SlotRange): number {
  if (slots.used < size) {
    slots.used += 1;
    return first + slots.used;
  }
  // A search reads every slot: it is made only where one may be free.
  if (slots.waiting >= size && (!expires || store.nowMs < slots.fullUntilMs)) return 0;
  let soonestMs = 0;
  for (let looked = 0; looked < size; looked += LOOKED_AT_ONCE) {
    const names: string[] = [];
    for (let i = 0; i < LOOKED_AT_ONCE; i++) names.push(numbered("y", first + ((slots.at + i) % size) + 1));
    store.load(names);
    for (let i = 0; i < LOOKED_AT_ONCE; i++) {
      const number = first + slots.at + 1;
      slots.at = (slots.at + 1) % size;
      const ack = readEarly(store, number);
      if (ack === undefined) return number;
      if (ack.error !== undefined && ack.epoch !== epoch) return number;
      if (isExpired(ack, store.nowMs)) {
        slots.waiting -= 1;
        if (ack.error !== undefined) slots.failures -= 1;
        // A mark that names another slot belongs to a later ack.
        const name = markName(ack);
        if (readMark(store, undefined, name).number === number) store.remove(name);
        return number;
      }
      if (ack.untilMs !== undefined && (soonestMs === 0 || ack.untilMs < soonestMs)) soonestMs = ack.untilMs;
    }
  }
  if (soonestMs > 0) slots.fullUntilMs = soonestMs;
  return 0;
}

const isExpired = ({ untilMs }: EarlyAck, nowMs: number): boolean => untilMs !== undefined && untilMs <= nowMs;
