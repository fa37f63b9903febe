import type { Coordinator } from "../coordinator.js";
import type { Duration } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { checkNamespace, smallId } from "./small-key.js";

/** Options of a `DedupeWindow`. */
export interface DedupeOptions {
  /** How long a claim lasts unless it is released, in seconds: more than 0, at most a year. Default 45. */
  readonly windowSec?: Duration;
  /** Separates keys of different uses. 1 to 64 bytes. Default `"default"`. */
  readonly namespace?: string;
  readonly onEvent?: OnEvent | undefined;
}

const TRACKER_OPTIONS: Names<DedupeOptions> = { windowSec: true, namespace: true, onEvent: true };

/** The result of `DedupeWindow.run`. */
export type DedupeOutcome<Value> =
  | { readonly claimed: true; readonly value: Value }
  /** Another call had claimed the key. */
  | { readonly claimed: false };

/**
 * Detects duplicates of a message: the first call that claims a key gets it, for a window of time. An idempotency key that
 * expires.
 *
 * A key is a text of up to 2,048 bytes, or a list of up to 16 of them: `["a|b", "c"]` and `["a", "b|c"]` are two keys.
 *
 * Does not promise that work inside a claim runs only once. A claim ends with its window, even while the work runs. After a
 * crash of the claimer the key stays claimed until then.
 *
 * @example
 * ```ts
 * import { DedupeWindow, MemoryCoordinator } from "edge-coordinator";
 *
 * const window = new DedupeWindow(new MemoryCoordinator(), { windowSec: 60 });
 * const { claimed } = await window.run(["account-1", "invoice-7"], async () => {
 *   // enqueue it; when this throws, the claim is released, and a retry may try again
 * });
 * ```
 */
export class DedupeWindow {
  readonly #coordinator: Coordinator;
  readonly #namespace: string;
  readonly #windowMs: number;
  readonly #onEvent: OnEvent | undefined;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: DedupeOptions = {}) {
    checkCoordinator(coordinator);
    checkOptions(options, TRACKER_OPTIONS);
    const { windowSec = 45, namespace = "default" } = options;
    checkNamespace(namespace);
    this.#coordinator = coordinator;
    this.#namespace = namespace;
    this.#windowMs = checkTtlSec(windowSec, "windowSec");
    this.#onEvent = options.onEvent;
  }

  /** Claims the key for the window; false when another call has it. Prefer `run`, which releases the key when the work fails. */
  async claim(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    return this.#claim(await smallId(this.#namespace, key), newOp(), call);
  }

  /**
   * Releases the key, whichever call claimed it; false when the key is not claimed. Call it only for your own claim: after
   * the window it may release another call's claim. `run` does not have this gap.
   */
  async release(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    const id = await smallId(this.#namespace, key);
    return (await this.#coordinator.run("dedupe.release", id, { op: newOp() }, call)).released;
  }

  /**
   * Claims the key and calls `fn`; does nothing when another call has the key. When `fn` throws, releases the claim if it is
   * still this call's, and throws the error: a retry can claim the key. When `fn` returns, the key stays claimed for the rest
   * of the window. `signal` ends the claim, but not `fn`.
   */
  async run<Value>(
    key: string | readonly string[],
    fn: () => Value | Promise<Value>,
    options: CallOptions = {},
  ): Promise<DedupeOutcome<Value>> {
    const call = callOptions(options);
    const id = await smallId(this.#namespace, key);
    const op = newOp();
    if (!(await this.#claim(id, op, call))) return { claimed: false };
    try {
      return { claimed: true, value: await fn() };
    } catch (error) {
      await this.#releaseOwn(id, op, key);
      throw error;
    }
  }

  async #claim(id: string, op: string, call: CallOptions): Promise<boolean> {
    return (await this.#coordinator.run("dedupe.claim", id, { op, ttlMs: this.#windowMs }, call)).claimed;
  }

  /** When this fails, the claim ends with its window, and the caller still gets the work's own error. */
  async #releaseOwn(id: string, holder: string, key: string | readonly string[]): Promise<void> {
    try {
      await this.#coordinator.run("dedupe.release", id, { op: newOp(), holder });
    } catch (error) {
      const told = typeof key === "string" ? key : JSON.stringify(key);
      emit(this.#onEvent, { type: "followup_failed", transition: "dedupe.release", id: told, error });
    }
  }
}
