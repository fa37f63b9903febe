import { decode, encode } from "../host.js";
import type { Store } from "../store.js";
import { numbered, type TaskAck, taskName, type Verdict } from "./task-set.js";

/**
 * Acks that arrive before their group is registered. They are kept for a limited time and in limited number, and the
 * registration counts them. Each ack has a slot. An expired ack's slot is reused.
 */

/** How many acks of one group are kept before its registration. */
export const MAX_EARLY = 10_000;
/** How many acks with a result or an error are kept in addition. The registration counts them all in one transition. */
export const MAX_EARLY_BODIES = 1_000;
/** How many slots one read of the search for an expired ack loads. */
const LOOKED_AT_ONCE = 16;

/** The head of a group that is not registered. */
export interface EarlyHead {
  state: "early";
  /** The slots `y:1`, `y:2`, …: acks without a result or an error. */
  plain: Slots;
  /** The slots `z:1`, `z:2`, …: acks with a result or an error. */
  bodies: Slots;
  /** How many acks were kept so far. */
  kept: number;
  /** When the last early ack expires. */
  untilMs: number;
}

interface Slots {
  list: "y" | "z";
  used: number;
  /** The slot where the last search for an expired ack ended. */
  at: number;
  /** All slots are in use, and none expires before this instant. */
  fullUntilMs: number;
}

interface EarlyAck extends TaskAck {
  op: string;
  /** Its position among all early acks. They count in the order of arrival. */
  n: number;
  /** When the ack expires. */
  untilMs: number;
}

/** The fields of an ack call that decide how the ack is kept. */
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
 * Returns the slot of the task's ack. A stored ack that has not expired keeps its first result or error, as in a
 * registered group. Else this ack is written to a free slot. `undefined`: all slots are in use.
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

/** Returns an early ack, expired or not. */
function read(store: Store, name: string): EarlyAck | undefined {
  const text = store.get(name);
  return text === undefined ? undefined : decode<EarlyAck>(text);
}

/** Returns the early acks that have not expired, in the order of arrival. */
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
