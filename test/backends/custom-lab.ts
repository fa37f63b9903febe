import { defineBackend } from "../../src/backends/custom/define-backend.js";
import type { BackendDefinition } from "../../src/backends/custom/definition.js";
import type { CoordinatorEvent, DrainableCoordinator } from "../../src/index.js";
import { ManualClock } from "../../src/testing/index.js";
import { type Faults, VersionedStore } from "./custom-store.js";

type WithDue = BackendDefinition & Required<Pick<BackendDefinition, "due">>;

/** A store, and coordinators over it whose time stands still until it is moved. */
export function lab(faults: Faults = {}, options: Partial<BackendDefinition> = {}) {
  const clock = new ManualClock();
  const store = new VersionedStore(faults);
  const coordinator = (more: Partial<BackendDefinition> = {}): DrainableCoordinator =>
    defineBackend({ ...store.definition, clock, random: () => 0.5, ...options, ...more } as WithDue);
  return { clock, store, coordinator, c: coordinator() };
}

/** The work's outcome, the clock moved as long as it takes; what it rejects with comes as a value. */
export async function outcomeOf(clock: ManualClock, work: Promise<unknown>): Promise<unknown> {
  let isOver = false;
  const outcome = work
    .catch((error: unknown) => error)
    .finally(() => {
      isOver = true;
    });
  for (let i = 0; i < 1_000 && !isOver; i++) await clock.advance(20);
  return outcome;
}

/** Does it the first time, nothing afterwards. */
export function once(fault: (name: string, store: VersionedStore) => void | Promise<void>, call = "compareAndSet") {
  let isDone = false;
  const first: Faults["before"] = (one, name, store) => {
    if (isDone || one !== call) return;
    isDone = true;
    return fault(name, store);
  };
  return first;
}

export const lost = (): never => {
  throw new Error("the connection was lost");
};
export const never = (): Promise<never> => new Promise(() => {});
export const registration = (total = 1, timeoutMs = 0) => ({
  op: crypto.randomUUID(),
  fingerprint: "s",
  kind: "counted" as const,
  lists: [],
  total,
  timeoutMs,
  ttlMs: 600_000,
  deliveryId: "d",
});
export const acks = (...ids: string[]) => ({
  op: crypto.randomUUID(),
  tasks: ids.map((id) => ({ id })),
  earlyTtlMs: 300_000,
});

/** Keeps the events of failures: that a group was registered, or has ended, is no subject of these tests. */
export const failuresTo =
  (events: CoordinatorEvent[]) =>
  (event: CoordinatorEvent): void => {
    if (event.type !== "registered" && event.type !== "ended") events.push(event);
  };

/** A signal that counts its listeners. */
export function countingSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const active = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: never, options?: never) => {
    active.add(listener);
    add(type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: never) => {
    active.delete(listener);
    remove(type, listener);
  };
  return { signal, abort: (reason: unknown) => controller.abort(reason), listeners: () => active.size };
}
