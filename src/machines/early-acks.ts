import { decode, encode } from "../platform.js";
import type { Store } from "../store.js";
import { numbered, type TaskAck, type Verdict } from "./group.js";
import { taskName } from "./marks.js";

/** Acks that came before their group's registration: kept for minutes and in number, and counted when it comes. */

/** How many acks of one group may come before its registration. */
export const MAX_EARLY = 10_000;
/** How many of them may bring a result or an error: a registration counts them all in one step. */
export const MAX_EARLY_BODIES = 1_000;

/** The head of a group that is not registered. */
export interface EarlyHead {
  state: "early";
  /** How many acks were kept, in `y:1` and on, and how many of them bring a result or an error. */
  acks: number;
  bodies: number;
  /** Until when the last of them counts. */
  untilMs: number;
}

interface EarlyAck extends TaskAck {
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
  const head = store.head<EarlyHead>() ?? { state: "early", acks: 0, bodies: 0, untilMs: 0 };
  const mark = store.get(taskName(task.id));
  const before = mark === undefined ? undefined : read(store, mark);
  const untilMs = store.nowMs + input.earlyTtlMs;
  // What was said first stands while it counts, as it does for a registered group; only its time is prolonged.
  const standing = before !== undefined && before.untilMs > store.nowMs ? before : undefined;
  const said: TaskAck = standing ?? task;
  const early: EarlyAck = { id: task.id, op: standing?.op ?? input.op, untilMs };
  if (said.result !== undefined) early.result = said.result;
  if (said.error !== undefined) early.error = said.error;
  const acks = head.acks + (before === undefined ? 1 : 0);
  const bodies = head.bodies + bodiesOf(early) - (before === undefined ? 0 : bodiesOf(before));
  if (acks > MAX_EARLY || bodies > MAX_EARLY_BODIES) return "unknown";
  head.acks = acks;
  head.bodies = bodies;
  const name = mark ?? numbered("y", acks);
  store.set(taskName(task.id), name);
  store.set(name, encode(early));
  if (untilMs > head.untilMs) head.untilMs = untilMs;
  store.put(head);
  store.keepUntil(head.untilMs);
  return "early";
}

/** An early ack, whether it still counts or not. */
function read(store: Store, name: string): EarlyAck | undefined {
  const text = store.get(name);
  return text === undefined ? undefined : decode<EarlyAck>(text);
}

function bodiesOf(ack: TaskAck): number {
  return ack.result === undefined && ack.error === undefined ? 0 : 1;
}

export function takeEarly(store: Store): EarlyAck[] {
  const names: string[] = [];
  const kept = store.head<EarlyHead>()?.acks ?? 0;
  for (let n = 1; n <= kept; n++) names.push(numbered("y", n));
  store.load(names);
  const acks: EarlyAck[] = [];
  for (const name of names) {
    const early = read(store, name);
    if (early !== undefined && early.untilMs > store.nowMs) acks.push(early);
  }
  return acks;
}
