import { Coordinator, DrainableCoordinator } from "../../coordinator.js";
import { CustomBackend } from "./backend.js";
import { type BackendDefinition, checkDefinition } from "./definition.js";

/**
 * A coordinator over any store that can replace a text if nobody else did so meanwhile: `load` and `compareAndSet` are
 * enough for every machine, and with `due` it has `drain`.
 *
 * It promises what the store keeps. A read is one call of the store, a write two. Operations on one record that begin in the
 * same turn of the event loop share them: 400 acks of one group at once are one load and one compare-and-set. Of several
 * instances that write one record at once, one wins and the others begin again, so that a record takes few such writes a second
 * (some 8 on a local D1, some 40 with a store that is 20 ms away). A record is one text, read and written as a whole, of
 * 1 MB at most unless `maxRecordBytes` says otherwise: for more than some 20,000 tasks, register `indexed` ones.
 *
 * Nothing rings by itself: any call that touches a record which is due wakes it, and `drain` wakes all that are. Call
 * `drain` from a schedule, or deadlines and second attempts wait for the next call that happens by. A `sweep` that fails at
 * a drain's end fails no drain: `onEvent` is told of it, as `drain_failed`. A wait looks from
 * time to time (50 ms to 2 s); this instance's own writes, and those that `subscribe` tells of, it hears at once, except
 * that on edge platforms a request hears nothing of another's.
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
