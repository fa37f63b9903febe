import { Coordinator } from "../../coordinator.js";
import type { Clock } from "../../lib/clock.js";
import type { OnEvent } from "../../runtime/events.js";
import { MemoryBackend } from "./backend.js";

/** What a `MemoryCoordinator` is made with. */
export interface MemoryOptions {
  /** How long raw keys outlive their last write, in seconds; 0 (the default): until they are deleted. At most a year. */
  readonly ttlSec?: number;
  /** The deadline of groups that give none, in seconds. */
  readonly completionTimeoutSec?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Receives events; what it throws is ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
}

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
