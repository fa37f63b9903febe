import { decode, encode } from "../platform.js";
import type { Store } from "../store.js";
import { type GroupHead, numbered, type TaskAck, unregistered, type Verdict } from "./group.js";
import { taskName } from "./marks.js";

/** Acks that came before their group's registration: kept for minutes and in number, and counted when it comes. */

/** How many acks of one group may come before its registration. */
export const MAX_EARLY = 10_000;
/** How many of them may bring a result or an error: a registration counts them all in one step. */
export const MAX_EARLY_BODIES = 1_000;

export interface EarlyAck extends TaskAck {
  op: string;
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
  const head = store.head<GroupHead>() ?? unregistered();
  const mark = store.get(taskName(task.id));
  if (mark === undefined) {
    const hasBody = task.result !== undefined || task.error !== undefined;
    if (head.early >= MAX_EARLY || (hasBody && head.earlyBodies >= MAX_EARLY_BODIES)) return "unknown";
    head.early += 1;
    if (hasBody) head.earlyBodies += 1;
  }
  const name = mark === undefined ? numbered("y", head.early) : mark;
  const untilMs = store.nowMs + input.earlyTtlMs;
  const before = mark === undefined ? undefined : readEarly(store, name);
  // What was said first stands, as it does for a registered group; only its time is prolonged.
  const early: EarlyAck = before ?? { id: task.id, op: input.op, untilMs };
  if (before === undefined) {
    if (task.result !== undefined) early.result = task.result;
    if (task.error !== undefined) early.error = task.error;
  }
  early.untilMs = untilMs;
  store.set(taskName(task.id), name);
  store.set(name, encode(early));
  if (untilMs > head.earlyUntilMs) head.earlyUntilMs = untilMs;
  store.put(head);
  store.keepUntil(head.earlyUntilMs);
  return "early";
}

/** An early ack that still counts. */
function readEarly(store: Store, name: string): EarlyAck | undefined {
  const text = store.get(name);
  if (text === undefined) return undefined;
  const early = decode<EarlyAck>(text);
  return early.untilMs > store.nowMs ? early : undefined;
}

export function takeEarly(store: Store, head: GroupHead): EarlyAck[] {
  const names: string[] = [];
  for (let n = 1; n <= head.early; n++) names.push(numbered("y", n));
  store.load(names);
  const acks: EarlyAck[] = [];
  for (const name of names) {
    const early = readEarly(store, name);
    if (early !== undefined) acks.push(early);
  }
  return acks;
}
