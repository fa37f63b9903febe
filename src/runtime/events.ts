import type { TransitionName } from "../core/registry.js";
import { CoordinationError } from "../errors.js";

/**
 * What happens outside of any call: for logs and metrics. Holds no payload. Its `error` is the text that was thrown, so it
 * holds a secret if a handler throws one: keep events in the owner's logs.
 *
 * Without `onEvent` the console gets a line, at most one a minute, about `wake_failed`, `drain_failed`, and deliveries that are
 * `unhandled` or `dead`. `onEvent: () => {}` turns it off.
 */
export type CoordinatorEvent =
  | { readonly type: "wake_failed"; readonly machine: string; readonly id: string; readonly error: unknown }
  /**
   * A drain of `drainEvery` or of an `AlarmClock` failed, a drain's `sweep` (`defineBackend`), or an object's alarm over its
   * storage; it is tried again.
   */
  | { readonly type: "drain_failed"; readonly error: unknown }
  | {
      readonly type: "delivery";
      readonly id: string;
      readonly deliveryId: string;
      /** The attempt that ended; for `unhandled`, how many were made before. */
      readonly attempt: number;
      /**
       * `delivered`, `retry` and `dead` end an attempt. `stale`: another attempt had taken its place. `unhandled`: drains lack
       * its handler, or webhooks; sent when that begins and then once an hour. `dead` also ends a day of that.
       */
      readonly outcome: "delivered" | "retry" | "dead" | "stale" | "unhandled";
      /** What the attempt failed with, up to 1,024 bytes, or why none was made. */
      readonly error?: string;
    }
  /** The last step of a call that has done its work failed; time, or whoever comes next, makes it good. */
  | {
      readonly type: "followup_failed";
      readonly transition: TransitionName;
      /** The record's id; of a claim or a version the caller's key, of several parts as their JSON. */
      readonly id: string;
      readonly error: unknown;
    };

/** Hears of events. What it throws is ignored. */
export type OnEvent = (event: CoordinatorEvent) => void;

/** Calls the hook. A hook that fails must not stop the work that it is told of. */
export function emit(onEvent: OnEvent | undefined, event: CoordinatorEvent): void {
  try {
    onEvent?.(event);
  } catch {
    // The hook is the only place to report to.
  }
}

/** The pause between two lines on the console. */
const QUIET_MS = 60_000;

/**
 * Returns the hook; without one, the default warning: a line on the console for what needs a person (a delivery without its
 * handler, a dead letter, a failed wake-up or drain), at most one a minute from each owner of a hook. A line holds ids and
 * this library's own texts: what a handler threw reaches hooks alone.
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

/** `undefined`: the event needs nobody. Ids and handlers' names may hold line breaks, so they are quoted. */
function warningOf(event: CoordinatorEvent): string | undefined {
  const { type } = event;
  if (type === "delivery") {
    const delivery = `delivery ${event.deliveryId} of group ${JSON.stringify(event.id)}`;
    if (event.outcome === "unhandled") return `${delivery} waits: ${JSON.stringify(event.error)}`;
    return event.outcome === "dead" ? `${delivery} is a dead letter (attempts: ${event.attempt})` : undefined;
  }
  if (type === "followup_failed") return undefined;
  const { error } = event;
  const reason = error instanceof CoordinationError ? error.message : "an error that onEvent shows";
  return `${type}${type === "wake_failed" ? ` ${JSON.stringify(event.id)}` : ""}: ${reason}`;
}
