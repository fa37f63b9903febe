import type { Coordinator } from "../coordinator.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkInteger, checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { checkNamespace, smallId } from "./small-key.js";

/** What a `CoalesceTracker` is made with. */
export interface CoalesceOptions {
  /** Keeps keys of different uses apart. 1 to 64 bytes. Default `"default"`. */
  readonly namespace?: string;
  /**
   * How long a key is remembered after its last version, in seconds; longer where its versions ran ahead of the clock.
   * Default: the coordinator's, else 3,600.
   */
  readonly ttlSec?: number;
  readonly onEvent?: OnEvent | undefined;
}

const TRACKER_OPTIONS: Names<CoalesceOptions> = { namespace: true, ttlSec: true, onEvent: true };
const DEFAULT_TTL_SEC = 3_600;

/**
 * Of many messages about one thing only the newest counts: a worker that holds an older one may drop it. The debounce
 * of a fan-out, with versions in place of timers.
 *
 * Versions grow, also across processes, also after a key was forgotten: they begin at the server's time. One that was
 * only reserved makes no other stale. Not promised: that the newest message is worked on first, or that versions are
 * consecutive.
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
    const { namespace = "default", ttlSec = coordinator.defaultTtlSec || DEFAULT_TTL_SEC } = options;
    checkNamespace(namespace);
    this.#coordinator = coordinator;
    this.#namespace = namespace;
    this.#ttlMs = checkTtlSec(ttlSec, "ttlSec");
    this.#onEvent = options.onEvent;
  }

  /**
   * Issues the key's next version, which makes all earlier ones stale at once. Use `supersede` when sending may fail: a
   * version that no caller receives would leave the key without an owner.
   */
  async next(key: string, options: CallOptions = {}): Promise<number> {
    return this.#next(key, false, callOptions(options));
  }

  /**
   * Whether a newer version was sent. False for the newest one, for one above all that the key has issued, and when the key
   * is forgotten: work is rather done twice than never.
   */
  async isStale(key: string, version: number, options: CallOptions = {}): Promise<boolean> {
    checkInteger(version, "version", 0, Number.MAX_SAFE_INTEGER);
    return (await this.#seen(key, version, callOptions(options))).stale;
  }

  /**
   * Sends a newer version: reserves it, calls `send` with it, and only then makes the earlier ones stale. When `send`
   * throws, they stay as they are, and its error is thrown on. Should this process die before the last step, or that step
   * fail (`onEvent` tells), the first `isStale` of the caller that received the message takes it.
   *
   * `signal` ends the reservation, and nothing after it.
   *
   * @returns the version that was sent.
   */
  async supersede(key: string, send: (version: number) => unknown, options: CallOptions = {}): Promise<number> {
    const version = await this.#next(key, true, callOptions(options));
    await send(version);
    try {
      await this.#seen(key, version, {});
    } catch (error) {
      // It was sent: who calls again on an error would send another.
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
