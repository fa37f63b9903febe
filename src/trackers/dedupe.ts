import type { Coordinator } from "../coordinator.js";
import type { Duration } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { type CallOptions, callOptions } from "./call-options.js";
import { checkCoordinator } from "./check-coordinator.js";
import { checkRun, type DedupeOutcome, type RunContext, type RunOnceOptions, runOnce } from "./run-once.js";
import { checkNamespace, smallId } from "./small-key.js";

/** Options of a `DedupeWindow`. */
export interface DedupeOptions {
  /**
   * How long a claim lasts unless it is released, and how long `run` keeps a result, in seconds: more than 0, at most a
   * year. Default: 45 for a claim, 86,400 for a result.
   */
  readonly windowSec?: Duration;
  /** Separates keys of different uses. 1 to 64 bytes. Default `"default"`. */
  readonly namespace?: string;
  readonly onEvent?: OnEvent | undefined;
}

const TRACKER_OPTIONS: Names<DedupeOptions> = { windowSec: true, namespace: true, onEvent: true };
const DEFAULT_CLAIM_MS = 45_000;

/**
 * Detects duplicates of a message by an idempotency key. `run` does the work of a key once, and gives duplicates the first
 * result. `claim` only takes the key for a window of time.
 *
 * A key is a text of up to 2,048 bytes, or a list of up to 16 of them: `["a|b", "c"]` and `["a", "b|c"]` are two keys.
 *
 * Does not promise that work starts only once. A run that crashed, or that lost its lease, may have done part of its work;
 * the next call runs it again. Send the `fencingToken` with each write, so that a store can refuse an earlier run. A claim
 * ends with its window, even while the work runs.
 *
 * @example
 * ```ts
 * import { DedupeWindow, MemoryCoordinator } from "edge-coordinator";
 *
 * const payments = new DedupeWindow(new MemoryCoordinator());
 * const result = await payments.run(["account-1", "invoice-7"], async ({ signal }) => {
 *   const response = await fetch("https://bank.example/pay", { method: "POST", signal });
 *   return { paid: response.ok };
 * });
 * if (result.outcome === "ran" || result.outcome === "replayed") {
 *   // result.value is the same for the first call and for its duplicates
 * }
 * ```
 */
export class DedupeWindow {
  readonly #coordinator: Coordinator;
  readonly #namespace: string;
  readonly #windowMs: number | undefined;
  readonly #onEvent: OnEvent | undefined;

  /** @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` without a coordinator. */
  constructor(coordinator: Coordinator, options: DedupeOptions = {}) {
    checkCoordinator(coordinator);
    checkOptions(options, TRACKER_OPTIONS);
    const { windowSec, namespace = "default" } = options;
    checkNamespace(namespace);
    this.#coordinator = coordinator;
    this.#namespace = namespace;
    this.#windowMs = windowSec === undefined ? undefined : checkTtlSec(windowSec, "windowSec");
    this.#onEvent = options.onEvent;
  }

  /**
   * Claims the key for the window; false when another call has it. Prefer `run`, which frees the key when the work fails.
   *
   * @throws {CoordinationError} `invalid_input` for a key out of range.
   */
  async claim(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    const input = { op: newOp(), ttlMs: this.#windowMs ?? DEFAULT_CLAIM_MS };
    return (await this.#coordinator.run("dedupe.claim", await smallId(this.#namespace, key), input, call)).claimed;
  }

  /**
   * Releases a claim of the key, whichever call claimed it; false when the key is not claimed. Call it only for your own
   * claim: after the window it may release another call's claim. Does not end a run.
   *
   * @throws {CoordinationError} `invalid_input` for a key out of range.
   */
  async release(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    const id = await smallId(this.#namespace, key);
    return (await this.#coordinator.run("dedupe.release", id, { op: newOp() }, call)).released;
  }

  /**
   * Calls `fn` if no other call works on the key or has done its work, and keeps the value for duplicates. `fn` receives
   * `{ signal, fencingToken }`. Returns the outcome:
   *
   * - `ran`: this call did the work.
   * - `lost`: this call did the work, but its lease had ended, and another call has the key.
   * - `replayed`: another call did the work; its value, if it was kept.
   * - `in_progress`: another call works on it. With `onInFlight: "wait"`, only after `waitMs`.
   * - `mismatch`: the key was used with another `fingerprint`.
   *
   * When `fn` throws, the key is free again, and the error is thrown on. So return a value for work that must not run again.
   * A crash frees the key when its lease ends. The lease is renewed at a third of its time while `fn` runs.
   *
   * A value of up to 16 KB of JSON is kept; duplicates get it as JSON keeps it. For another value, and when keeping it
   * fails, the outcome is `ran` with `kept: false`. In the second case `onEvent` receives the error, and a duplicate may
   * run the work again after the lease.
   *
   * @throws {CoordinationError} `invalid_input` for a key or an option out of range. Rejects with `signal.reason` before
   * the work has begun; `fn` itself must heed its signal.
   */
  async run<Value>(
    key: string | readonly string[],
    fn: (context: RunContext) => Value | Promise<Value>,
    options: RunOnceOptions = {},
  ): Promise<DedupeOutcome<Value>> {
    const settings = checkRun(options, this.#windowMs);
    const id = await smallId(this.#namespace, key);
    return runOnce({ coordinator: this.#coordinator, id, key, onEvent: this.#onEvent }, settings, fn);
  }

  /**
   * Forgets the key with its result, claim or run; false when it holds none. The next call runs the work. A run under way
   * ends as `lost`.
   *
   * @throws {CoordinationError} `invalid_input` for a key out of range.
   */
  async forget(key: string | readonly string[], options: CallOptions = {}): Promise<boolean> {
    const call = callOptions(options);
    const id = await smallId(this.#namespace, key);
    return (await this.#coordinator.run("dedupe.forget", id, { op: newOp() }, call)).found;
  }
}
