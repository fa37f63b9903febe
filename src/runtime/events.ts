import type { CoordinatorEvent, OnEvent } from "../coordinator.js";
import { CoordinationError } from "../errors.js";

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
