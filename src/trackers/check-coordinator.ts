import type { Coordinator } from "../coordinator.js";
import { CoordinationError } from "../errors.js";

/** @throws {CoordinationError} `misconfigured` when the value is not a coordinator. */
export function checkCoordinator(coordinator: Coordinator): void {
  if (typeof coordinator?.run === "function") return;
  throw new CoordinationError("misconfigured", "coordinator must be a coordinator, such as new MemoryCoordinator()");
}
