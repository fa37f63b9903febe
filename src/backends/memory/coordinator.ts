import { Coordinator } from "../../coordinator.js";
import { MemoryBackend } from "./backend.js";
import type { MemoryOptions } from "./options.js";

/**
 * Coordination within one process: for tests, development, and single servers. State is lost when the process ends, and no
 * other process sees it. Timers are unref'd, except for records that are due: they do not keep the process alive.
 */
export class MemoryCoordinator extends Coordinator {
  readonly #backend: MemoryBackend;

  /** @throws {CoordinationError} `invalid_input` for a `ttlSec` or a `completionTimeoutSec` out of range. */
  constructor(options: MemoryOptions = {}) {
    const backend = new MemoryBackend(options);
    super(backend, { ttlSec: 0, ...options, isDistributed: false });
    this.#backend = backend;
  }

  /** How many records are in memory, with expired ones that were not removed yet. */
  get size(): number {
    return this.#backend.size;
  }
}
