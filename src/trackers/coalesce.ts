import type { Coordinator } from "../coordinator.js";
import { newOp } from "../lib/ids.js";
import { checkInteger, checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
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

const DEFAULT_TTL_SEC = 3_600;

/**
 * Of many messages about one thing only the newest counts: a worker that holds an older one may drop it. The debounce
 * of a fan-out, with versions in place of timers.
 *
 * Versions grow, also across processes, also after a key was forgotten: they begin at the server's time. One that was
 * only reserved makes no other stale. Not promised: that the newest message is worked on first, or that versions are
 * consecutive.
 *
 * An empty key is ignored: its version is 0, and it is never stale.
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
    const { namespace = "default", ttlSec = coordinator.defaultTtlSec || DEFAULT_TTL_SEC } = options;
    checkNamespace(namespace);
    this.#coordinator = coordinator;
    this.#namespace = namespace;
    this.#ttlMs = checkTtlSec(ttlSec, "ttlSec");
    this.#onEvent = options.onEvent;
  }

  /**
   * Issues the key's next version, which makes all earlier ones stale at once. Use `supersede` when sending may fail: a
   * version that nobody hears of would leave the key to no one.
   */
  async next(key: string): Promise<number> {
    return key === "" ? 0 : this.#next(key, false);
  }

  /**
   * Whether a newer version was sent. False for the newest one, for one above all that the key has issued, and when the key
   * is forgotten: work is rather done twice than never.
   */
  async isStale(key: string, version: number): Promise<boolean> {
    checkInteger(version, "version", 0, Number.MAX_SAFE_INTEGER);
    if (key === "") return false;
    return (await this.#seen(key, version)).stale;
  }

  /**
   * Sends a newer version: reserves it, calls `send` with it, and only then makes the earlier ones stale. When `send`
   * throws, they stay as they are, and its error is thrown on. Should this process die before the last step, or that step
   * fail (`onEvent` tells), the first `isStale` of whoever received the message takes it.
   *
   * @returns the version that was sent.
   */
  async supersede(key: string, send: (version: number) => unknown): Promise<number> {
    const version = key === "" ? 0 : await this.#next(key, true);
    await send(version);
    if (key === "") return version;
    try {
      await this.#seen(key, version);
    } catch (error) {
      // It was sent: who calls again on an error would send another.
      emit(this.#onEvent, { type: "followup_failed", transition: "coalesce.seen", id: key, error });
    }
    return version;
  }

  async #next(key: string, held: boolean): Promise<number> {
    const input = { op: newOp(), ttlMs: this.#ttlMs, ...(held ? { held } : {}) };
    return (await this.#coordinator.run("coalesce.next", await smallId(this.#namespace, key), input)).version;
  }

  async #seen(key: string, version: number): Promise<{ stale: boolean }> {
    const input = { version, ttlMs: this.#ttlMs };
    return this.#coordinator.run("coalesce.seen", await smallId(this.#namespace, key), input);
  }
}
