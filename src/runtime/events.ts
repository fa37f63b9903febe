import type { TransitionName } from "../core/registry.js";
import type { RecordEvent } from "../core/store.js";
import { CoordinationError } from "../errors.js";

/**
 * Events outside of any call: for logs and metrics. An event holds no payload. Its `error` is the text that was thrown,
 * which holds a secret if a handler throws one: keep events in the owner's logs.
 *
 * Without `onEvent` the console gets a line about `wake_failed`, `drain_failed`, and deliveries that are `unhandled` or
 * `dead`. It gets at most one line a minute. `onEvent: () => {}` turns it off.
 */
export type CoordinatorEvent =
  /**
   * A group or a request was registered, or a new generation of it. Sent by the coordinator that ran the step, or by
   * the object: once a generation, and not for a repeated registration.
   */
  | {
      readonly type: "registered";
      /** `completion` for a group, `request` for a request. */
      readonly machine: string;
      readonly id: string;
      readonly generation: number;
      /** How many tasks it has so far. */
      readonly total: number;
    }
  /**
   * A group or a request has ended. Sent like `registered`, at most once an end: a lost answer or a crash loses it. Use
   * a target of the registration for work that must be done. Not sent for a generation that a restart replaces while it
   * is open, nor for a record that expires unread.
   */
  | {
      readonly type: "ended";
      readonly machine: string;
      readonly id: string;
      readonly generation: number;
      readonly state: "completed" | "failed" | "timed_out" | "cancelled";
      /**
       * `all_completed`, `min_successful_reached` or `failure_tolerance_exceeded` of its tasks; `deadline`, `idle` or
       * `silent` of a timeout; `cancel`, `parent`, `abandon` or `remove` of a cancellation.
       */
      readonly reason: string;
      readonly total: number;
      readonly succeeded: number;
      readonly failed: number;
    }
  /** The lease of a run, a permit or a lock was lost while its work ran: another caller may work at the same time. */
  | {
      readonly type: "lease_lost";
      readonly machine: "dedupe" | "semaphore";
      /** The caller's key; a key of several parts is their JSON. */
      readonly id: string;
      /** `taken`: another caller has it, or it was released. `unconfirmed`: no renewal was confirmed in time. */
      readonly reason: "taken" | "unconfirmed";
    }
  | { readonly type: "wake_failed"; readonly machine: string; readonly id: string; readonly error: unknown }
  /**
   * Failed, and is retried: a drain of `drainEvery` or of an `AlarmClock`, a drain's `sweep` (`defineBackend`), or an
   * object's alarm when its storage fails.
   */
  | { readonly type: "drain_failed"; readonly error: unknown }
  | {
      readonly type: "delivery";
      /** `completion` for a group, `request` for a request. */
      readonly machine: string;
      readonly id: string;
      readonly deliveryId: string;
      /** The attempt that ended; for `unhandled`, how many were made before. */
      readonly attempt: number;
      /**
       * `delivered`, `retry` and `dead` end an attempt. `stale`: another attempt had replaced it. `unhandled`: drains
       * lack its handler, or webhooks; sent when that begins and then once an hour. `dead` is also sent after a day of
       * `unhandled`.
       */
      readonly outcome: "delivered" | "retry" | "dead" | "stale" | "unhandled";
      /** Why the attempt failed, up to 1,024 bytes, or why none was made. */
      readonly error?: string;
    }
  /** The call did its work, but its last step failed. A TTL or the next call repairs it. */
  | {
      readonly type: "followup_failed";
      readonly transition: TransitionName;
      /** The record's id. For a claim or a version it is the caller's key; a key of several parts is their JSON. */
      readonly id: string;
      readonly error: unknown;
    };

/** Receives events. Errors that it throws are ignored. */
export type OnEvent = (event: CoordinatorEvent) => void;

/** Calls the hook. A hook that throws does not stop the work that it reports. */
export function emit<Event = CoordinatorEvent>(
  onEvent: ((event: Event) => void) | undefined,
  event: NoInfer<Event>,
): void {
  try {
    // A hook may be an async function, whose rejection would end a process.
    const result: unknown = onEvent?.(event);
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // The hook is the only place to report to.
  }
}

/** Emits the changes of state that one step made. */
export function emitChanges(
  onEvent: OnEvent | undefined,
  { machine, id }: { readonly machine: string; readonly id: string },
  events: readonly RecordEvent[],
): void {
  for (const { type, ...fields } of events) emit(onEvent, { type, machine, id, ...fields } as CoordinatorEvent);
}

/** The pause between two lines on the console. */
const QUIET_MS = 60_000;

/**
 * Returns the hook. Without one, returns the default warning: a console line for events that need a person. These are a
 * delivery without its handler, a dead letter, and a failed wake-up or drain. It writes at most one line a minute for
 * each owner of a hook. A line holds ids and this library's own texts; only a hook receives what a handler threw.
 */
export function hookOrWarning(
  onEvent: OnEvent | undefined,
  now: () => number = Date.now,
  write: (line: string) => void = (line) => console.warn(line),
): OnEvent {
  if (onEvent !== undefined) return onEvent;
  let nextAtMs = 0;
  let withheld = 0;
  return (event) => {
    const text = warningOf(event);
    if (text === undefined) return;
    if (now() < nextAtMs) {
      withheld++;
      return;
    }
    const more = withheld === 0 ? "" : ` (and ${withheld} more events since the last warning)`;
    write(`edge-coordinator: ${text}${more}. Set onEvent to receive each event, or to silence this.`);
    nextAtMs = now() + QUIET_MS;
    withheld = 0;
  };
}

/**
 * Returns the text of the warning; `undefined` when the event needs no action. Ids and handler names may hold line
 * breaks, so they are quoted.
 */
function warningOf(event: CoordinatorEvent): string | undefined {
  const { type } = event;
  if (type === "delivery") {
    const delivery = `delivery ${event.deliveryId} of group ${JSON.stringify(event.id)}`;
    if (event.outcome === "unhandled") return `${delivery} waits: ${JSON.stringify(event.error)}`;
    return event.outcome === "dead" ? `${delivery} is a dead letter (attempts: ${event.attempt})` : undefined;
  }
  if (type !== "wake_failed" && type !== "drain_failed") return undefined;
  const { error } = event;
  const reason = error instanceof CoordinationError ? error.message : "an error that onEvent shows";
  return `${type}${type === "wake_failed" ? ` ${JSON.stringify(event.id)}` : ""}: ${reason}`;
}
