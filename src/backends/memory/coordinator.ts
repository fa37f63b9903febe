import { Coordinator } from "../../coordinator.js";
import { MemoryBackend } from "./backend.js";
import type { MemoryOptions } from "./options.js";

/**
 * Coordination within one process: for tests, development, and servers that are alone. Nothing outlives the process,
 * and no other process sees it. Its timers keep no process alive, but for what is due already.
 */
export class MemoryCoordinator extends Coordinator {
  readonly #backend: MemoryBackend;

  /** @throws {CoordinationError} `invalid_input` for a `ttlSec` or a `completionTimeoutSec` out of range. */
  constructor(options: MemoryOptions = {}) {
    const backend = new MemoryBackend(options);
    super(backend, { ttlSec: 0, ...options, isDistributed: false });
    this.#backend = backend;
  }

  /** How many records are held, those among them that have expired and were not removed yet. */
  get size(): number {
    return this.#backend.size;
  }
}
