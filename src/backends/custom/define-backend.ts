import { Coordinator, DrainableCoordinator } from "../../coordinator.js";
import { CustomBackend } from "./backend.js";
import { type BackendDefinition, checkDefinition } from "./definition.js";

/**
 * Returns a coordinator over any store that has an atomic compare-and-set of a text. `load` and `compareAndSet` are enough
 * for all trackers. `due` adds `drain`.
 *
 * The store decides consistency and durability. A read is one call of the store, a write is two. Operations on one record
 * that begin in the same turn of the event loop share these calls: 400 concurrent acks of one group are one load and one
 * compare-and-set. When several instances write one record at once, one write succeeds and the others retry. A record
 * therefore takes few such writes a second: about 8 on a local D1, about 40 with a store that is 20 ms away. A record is one
 * text, read and written as a whole, of at most 1 MB (see `maxRecordBytes`). For more than about 11,000 tasks, register
 * `indexed` ones.
 *
 * Does not run timers. A call that touches a due record wakes it, and `drain` wakes all due records. Call `drain` on a
 * schedule. Without it, deadlines and retries wait for the next call on their record. A failed `sweep` does not fail the
 * drain: `onEvent` receives `drain_failed`. A wait polls every 50 ms to 2 s. Writes of this instance, and writes that
 * `subscribe` reports, end a wait at once. On edge platforms, one request is not notified of another request's writes.
 *
 * @throws {CoordinationError} `misconfigured` for a function that is missing, `invalid_input` for a number out of range.
 *
 * @example
 * ```ts
 * import { type BackendRecord, CompletionTracker, defineBackend } from "edge-coordinator";
 *
 * const records = new Map<string, BackendRecord>();
 * const coordinator = defineBackend({
 *   isDistributed: false,
 *   load: async (name) => records.get(name) ?? null,
 *   compareAndSet: async (name, version, next) => {
 *     if ((records.get(name)?.version ?? null) !== version) return false;
 *     if (next === null) records.delete(name);
 *     else records.set(name, next);
 *     return true;
 *   },
 * });
 * const tracker = new CompletionTracker(coordinator);
 * await tracker.register("document-1", 2);
 * ```
 */
export function defineBackend(
  definition: BackendDefinition & Required<Pick<BackendDefinition, "due">>,
): DrainableCoordinator;
export function defineBackend(definition: BackendDefinition): Coordinator;
export function defineBackend(definition: BackendDefinition): Coordinator {
  checkDefinition(definition);
  const backend = new CustomBackend(definition);
  return definition.due === undefined
    ? new Coordinator(backend, definition)
    : new DrainableCoordinator(backend, definition);
}
