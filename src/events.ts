import type { CoordinatorEvent, OnEvent } from "./coordinator.js";

/** Tells of an event. A hook that fails must not stop what it is told of. */
export function emit(onEvent: OnEvent | undefined, event: CoordinatorEvent): void {
  try {
    onEvent?.(event);
  } catch {
    // Nobody is left to tell.
  }
}
