import { decode, encode } from "../host.js";
import type { Store } from "../store.js";
import { numbered, type TaskAck, taskName, type Verdict } from "./task-set.js";

/**
 * Acks that came before their group's registration: kept for minutes and in number, and counted when it comes. Each has a
 * slot. An ack that counts no more gives its slot to the next one that needs it.
 */

/** How many acks of one group may come before its registration. */
export const MAX_EARLY = 10_000;
/** How many more of them may bring a result or an error: a registration counts them all in one step. */
export const MAX_EARLY_BODIES = 1_000;
/** How many slots are read together in search of one that is over. */
const LOOKED_AT_ONCE = 16;

/** The head of a group that is not registered. */
export interface EarlyHead {
  state: "early";
  /** The slots `y:1` and on, of acks alone. */
  plain: Slots;
  /** The slots `z:1` and on, of acks with a result or an error. */
  bodies: Slots;
  /** How many acks were kept so far. */
  kept: number;
  /** Until when the last of them counts. */
  untilMs: number;
}

interface Slots {
  list: "y" | "z";
  used: number;
  /** The slot at which the last search for one that is over ended. */
  at: number;
  /** All slots are taken, and none is over before this instant. */
  fullUntilMs: number;
}

interface EarlyAck extends TaskAck {
  op: string;
  /** Its place among all early acks: they count in the order in which they came. */
  n: number;
  /** When it stops counting. */
  untilMs: number;
}

/** What an early ack is kept by. */
interface EarlyInput {
  op: string;
  generation?: number;
  earlyTtlMs: number;
}

export function keepEarly(store: Store, task: TaskAck, input: EarlyInput): Verdict {
  if (input.generation !== undefined) return "unknown";
  const head = store.head<EarlyHead>() ?? beginEarly();
  const name = slotOf(store, head, task, input.op);
  if (name === undefined) return "unknown";
  const early = read(store, name)!;
  const untilMs = store.nowMs + input.earlyTtlMs;
  if (untilMs > early.untilMs) early.untilMs = untilMs;
  store.set(name, encode(early));
  if (untilMs > head.untilMs) head.untilMs = untilMs;
  store.put(head);
  store.keepUntil(head.untilMs);
  return "early";
}

function beginEarly(): EarlyHead {
  return {
    state: "early",
    plain: { list: "y", used: 0, at: 0, fullUntilMs: 0 },
    bodies: { list: "z", used: 0, at: 0, fullUntilMs: 0 },
    kept: 0,
    untilMs: 0,
  };
}

/**
 * The slot of the task's ack: the one that stands, which keeps what was said first, as a registered group does; or one that
 * this ack is written to. `undefined`: there is no room.
 */
function slotOf(store: Store, head: EarlyHead, task: TaskAck, op: string): string | undefined {
  const slots = task.result === undefined && task.error === undefined ? head.plain : head.bodies;
  let name = store.get(taskName(task.id));
  if (name !== undefined) {
    const before = read(store, name);
    if (before !== undefined && before.untilMs > store.nowMs) return name;
    if (!name.startsWith(slots.list)) name = undefined;
  }
  name ??= freeSlot(store, head, slots);
  if (name === undefined) return undefined;
  head.kept += 1;
  const early: EarlyAck = { id: task.id, op, n: head.kept, untilMs: 0 };
  if (task.result !== undefined) early.result = task.result;
  if (task.error !== undefined) early.error = task.error;
  store.set(taskName(task.id), name);
  store.set(name, encode(early));
  return name;
}

function freeSlot(store: Store, head: EarlyHead, slots: Slots): string | undefined {
  if (slots.used < (slots.list === "y" ? MAX_EARLY : MAX_EARLY_BODIES)) {
    slots.used += 1;
    return numbered(slots.list, slots.used);
  }
  if (store.nowMs < slots.fullUntilMs) return undefined;
  let soonestMs = 0;
  for (let looked = 0; looked < slots.used; looked += LOOKED_AT_ONCE) {
    const names: string[] = [];
    for (let i = 0; i < LOOKED_AT_ONCE; i++) names.push(numbered(slots.list, ((slots.at + i) % slots.used) + 1));
    store.load(names);
    for (const name of names) {
      slots.at = (slots.at + 1) % slots.used;
      const early = read(store, name)!;
      if (early.untilMs <= store.nowMs) {
        if (store.get(taskName(early.id)) === name) store.remove(taskName(early.id));
        return name;
      }
      if (soonestMs === 0 || early.untilMs < soonestMs) soonestMs = early.untilMs;
    }
  }
  slots.fullUntilMs = soonestMs;
  store.put(head);
  return undefined;
}

/** An early ack, whether it still counts or not. */
function read(store: Store, name: string): EarlyAck | undefined {
  const text = store.get(name);
  return text === undefined ? undefined : decode<EarlyAck>(text);
}

/** The early acks that still count, in the order in which they came. */
export function takeEarly(store: Store): EarlyAck[] {
  const head = store.head<EarlyHead>();
  if (head === undefined) return [];
  const names: string[] = [];
  for (const { list, used } of [head.plain, head.bodies]) {
    for (let n = 1; n <= used; n++) names.push(numbered(list, n));
  }
  store.load(names);
  const acks: EarlyAck[] = [];
  for (const name of names) {
    const early = read(store, name);
    if (early !== undefined && early.untilMs > store.nowMs) acks.push(early);
  }
  return acks.sort((a, b) => a.n - b.n);
}
