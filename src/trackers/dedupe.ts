import type { Coordinator } from "../coordinator.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { checkNamespace, smallId } from "./small-key.js";

/** What a `DedupeWindow` is made with. */
export interface DedupeOptions {
  /** How long a claim stands unless it is released, in seconds: more than 0, at most a year. Default 45. */
  readonly windowSec?: number;
  /** Keeps keys of different uses apart. 1 to 64 bytes. Default `"default"`. */
  readonly namespace?: string;
  readonly onEvent?: OnEvent | undefined;
}

const TRACKER_OPTIONS: Names<DedupeOptions> = { windowSec: true, namespace: true, onEvent: true };

/** What became of `DedupeWindow.run`. */
export type DedupeOutcome<Value> =
  | { readonly claimed: true; readonly value: Value }
  /** Another call had claimed the key. */
  | { readonly claimed: false };

/**
 * Tells the first of many copies of a message from the others: who claims a key first has it, for a window of time. An
 * idempotency key with an end.
 *
 * A key is a text of up to 2,048 bytes, or a list of up to 16 of them: `["a|b", "c"]` and `["a", "b|c"]` are two keys.
 *
 * Not promised: that work inside a claim runs only once. A claim ends with its window, however long the work takes, and
 * a claimer that dies leaves the key claimed until then.
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

  /** Claims the key for the window; false when somebody else has it. Prefer `run`, which frees it again when work fails. */
  async claim(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    return this.#claim(await smallId(this.#namespace, key), newOp(), call);
  }

  /**
   * Frees the key, whoever claimed it; false when nobody has. For the claimer alone to call: a release that comes when
   * the window is over may free another's claim. `run` does not have this gap.
   */
  async release(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    const id = await smallId(this.#namespace, key);
    return (await this.#coordinator.run("dedupe.release", id, { op: newOp() }, call)).released;
  }

  /**
   * Claims the key and calls `fn`; does nothing when somebody else has it. When `fn` throws, the claim is released, if it
   * is still this call's own, and the error is thrown on: a retry finds the key free. When it returns, the key stays
   * claimed for the rest of the window. `signal` ends the claim, and not `fn`.
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

  /** A failure leaves the claim to its window, and the work's own error to the caller. */
  async #releaseOwn(id: string, holder: string, key: string | readonly string[]): Promise<void> {
    try {
      await this.#coordinator.run("dedupe.release", id, { op: newOp(), holder });
    } catch (error) {
      const told = typeof key === "string" ? key : JSON.stringify(key);
      emit(this.#onEvent, { type: "followup_failed", transition: "dedupe.release", id: told, error });
    }
  }
}
