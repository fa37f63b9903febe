import type { Coordinator } from "../coordinator.js";
import type { Duration } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkInteger, checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { ttlSecOf } from "./default-ttl.js";
import { checkNamespace, smallId } from "./small-key.js";

/** Options of a `CoalesceTracker`. */
export interface CoalesceOptions {
  /** Separates keys of different uses. 1 to 64 bytes. Default `"default"`. */
  readonly namespace?: string;
  /**
   * How long a key is kept after its last version, in seconds. Longer when its versions are ahead of the clock. Default: the
   * coordinator's `ttlSec`, else 3,600.
   */
  readonly ttlSec?: Duration;
  readonly onEvent?: OnEvent | undefined;
}

const TRACKER_OPTIONS: Names<CoalesceOptions> = { namespace: true, ttlSec: true, onEvent: true };

/**
 * Latest wins: of several messages about one thing only the newest counts. A worker with an older message may drop it. It
 * debounces a fan-out by versions instead of timers.
 *
 * Versions grow, also across processes, and also after a key has expired: they begin at the server's time. A version that
 * is only reserved makes no other version stale. Does not promise that the newest message is processed first, nor that
 * versions are consecutive.
 *
 * A key is a text of 1 to 2,048 bytes.
 *
 * @example
 * ```ts
 * import { CoalesceTracker, MemoryCoordinator } from "edge-coordinator";
 *
 * const versions = new CoalesceTracker(new MemoryCoordinator());
 * const older = await versions.supersede("document-1", async (version) => {
 *   // enqueue { id: "document-1", version }
 * });
 * const newer = await versions.next("document-1");
 * await versions.isStale("document-1", older); // true
 * await versions.isStale("document-1", newer); // false
 * ```
 */
export class CoalesceTracker {
  readonly #coordinator: Coordinator;
  readonly #namespace: string;
  readonly #ttlMs: number;
  readonly #onEvent: OnEvent | undefined;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: CoalesceOptions = {}) {
    checkCoordinator(coordinator);
    checkOptions(options, TRACKER_OPTIONS);
    const { namespace = "default", ttlSec = ttlSecOf(coordinator) } = options;
    checkNamespace(namespace);
    this.#coordinator = coordinator;
    this.#namespace = namespace;
    this.#ttlMs = checkTtlSec(ttlSec, "ttlSec");
    this.#onEvent = options.onEvent;
  }

  /**
   * Returns the key's next version. All earlier versions are stale at once. Use `supersede` when sending may fail: when no
   * caller receives a version, every message of the key is stale.
   */
  async next(key: string, options: CallOptions = {}): Promise<number> {
    return this.#next(key, false, callOptions(options));
  }

  /**
   * Returns whether a newer version was sent. False for the newest version, for one above all that the key has issued, and
   * after the key has expired. Work may thus run twice, but is never skipped.
   */
  async isStale(key: string, version: number, options: CallOptions = {}): Promise<boolean> {
    checkInteger(version, "version", 0, Number.MAX_SAFE_INTEGER);
    return (await this.#seen(key, version, callOptions(options))).stale;
  }

  /**
   * Sends a newer version: reserves it, calls `send` with it, and only then makes the earlier versions stale. When `send`
   * throws, they stay valid, and the error is thrown on. The last step fails when this process crashes, or with an error that
   * `onEvent` receives. The receiver's first `isStale` then makes the earlier versions stale.
   *
   * `signal` ends the reservation only, not the later steps.
   *
   * @returns the version that was sent.
   */
  async supersede(key: string, send: (version: number) => unknown, options: CallOptions = {}): Promise<number> {
    const version = await this.#next(key, true, callOptions(options));
    await send(version);
    try {
      await this.#seen(key, version, {});
    } catch (error) {
      // The message was sent: an error would make the caller send another one.
      emit(this.#onEvent, { type: "followup_failed", transition: "coalesce.seen", id: key, error });
    }
    return version;
  }

  async #next(key: string, held: boolean, call: CallOptions): Promise<number> {
    const input = { op: newOp(), ttlMs: this.#ttlMs, ...(held ? { held } : {}) };
    return (await this.#coordinator.run("coalesce.next", await smallId(this.#namespace, key), input, call)).version;
  }

  async #seen(key: string, version: number, call: CallOptions): Promise<{ stale: boolean }> {
    const input = { version, ttlMs: this.#ttlMs };
    return this.#coordinator.run("coalesce.seen", await smallId(this.#namespace, key), input, call);
  }
}
