import type { InputOf, OutputOf } from "../core/registry.js";
import { CoordinationError } from "../errors.js";
import { AbortListeners } from "../lib/abort-listeners.js";
import type { Clock } from "../lib/clock.js";
import { isEphemeral } from "../lib/ephemeral.js";
import { checkId, checkNumber, MAX_SEC } from "../lib/validate.js";
import type { WatchableTransition, Watched } from "./backend.js";
import { recordName } from "./placement.js";
import { timedOut, type WaiterOptions, WaitLoop, type WaitSource } from "./wait-loop.js";

/** What a caller waits for: that the transition's output on this record is ready. */
export interface Question<N extends WatchableTransition = WatchableTransition> {
  readonly transition: N;
  readonly id: string;
  readonly input: InputOf<N>;
}

export interface WaitersOptions {
  readonly clock: Clock;
  /** For waits that share a context for I/O: one timer of the platform for all of them. Default: `clock`. */
  readonly sharedClock?: Clock;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  /** Where a wait for this looks, and what notifies it. */
  source(question: Question): WaitSource;
  /** Looks once for a caller that does not wait, and repeats the look as any other read. */
  lookOnce(question: Question, signal: AbortSignal | undefined): Watched | Promise<Watched>;
  /** Whether looks are answered in this process, at once and without I/O. Default false. */
  readonly isLocal?: boolean;
  /** Whether all callers share one context for I/O, as in a Durable Object. Default: not on edge platforms. */
  readonly isOneContext?: boolean;
  /** How long after its time a wait still takes an answer that is on its way. Default 0. */
  readonly graceMs?: number;
  /** How many waits are held. Beyond it a wait is refused. */
  readonly maxWaits?: number;
}

/**
 * All waits of a coordinator. Callers that ask the same share one look and one output.
 *
 * On edge platforms a request's I/O ends with the request, and no other request may use it: there each wait looks for itself.
 */
export class Waiters {
  readonly #options: WaitersOptions;
  readonly #signals = new AbortListeners();
  /** By the record's name, then by what is asked of it. */
  readonly #loops = new Map<string, Map<string, WaitLoop>>();
  #size = 0;
  #alone = 0;

  constructor(options: WaitersOptions) {
    this.#options = options;
  }

  /** How many waits are open. */
  get size(): number {
    return this.#size;
  }

  /**
   * Resolves with the first output that is ready. With a `timeoutMs` of 0 it looks once.
   *
   * @throws {CoordinationError} `wait_timeout` when the time is over; `limit_exceeded`, retryable, beyond `maxWaits`;
   * `invalid_input` for an id or a `timeoutMs` out of range. Rejects with `signal.reason` when aborted.
   */
  async watch<N extends WatchableTransition>(question: Question<N>, options: WaiterOptions): Promise<OutputOf<N>> {
    const { maxWaits = Number.POSITIVE_INFINITY } = this.#options;
    const { timeoutMs, signal } = options;
    checkId(question.id, "id");
    checkNumber(timeoutMs, "timeoutMs", 0, MAX_SEC * 1000);
    signal?.throwIfAborted();
    const asked = question as unknown as Question;
    if (timeoutMs === 0) {
      const output = await this.#lookOnce(asked, signal);
      if (output.ready || options.resolvesLate) return output as OutputOf<N>;
      throw timedOut(timeoutMs);
    }
    if (this.#size >= maxWaits) {
      throw new CoordinationError("limit_exceeded", `at most ${maxWaits} waits are held at a time`, {
        retryable: true,
      });
    }
    this.#size++;
    try {
      return (await this.#loopOf(asked).wait(options)) as OutputOf<N>;
    } finally {
      this.#size--;
    }
  }

  /** Makes the waits for the record look. `message`: a write was announced, with its text where one came. */
  notify(record: string, message?: { readonly text: string | undefined }): void {
    const loops = this.#loops.get(record);
    if (loops === undefined || !(this.#options.isLocal || this.#shares())) return;
    for (const loop of [...loops.values()]) loop.notify(message);
  }

  async #lookOnce(question: Question, signal: AbortSignal | undefined): Promise<Watched> {
    const { lookOnce } = this.#options;
    if (signal === undefined) return lookOnce(question, signal);
    const controller = new AbortController();
    const stop = this.#signals.add(signal, () => controller.abort(signal.reason));
    try {
      return await lookOnce(question, controller.signal);
    } finally {
      stop();
    }
  }

  #shares(): boolean {
    return this.#options.isOneContext === true || !isEphemeral();
  }

  #loopOf(question: Question): WaitLoop {
    const { transition, id, input } = question;
    const record = recordName(transition.slice(0, transition.indexOf(".")), id);
    const shares = this.#shares();
    const key = shares ? `${transition} ${JSON.stringify(input)}` : `${this.#alone++}`;
    const loops = this.#loops.get(record) ?? new Map<string, WaitLoop>();
    const standing = loops.get(key);
    if (standing !== undefined) return standing;
    const { source, isLocal = false, clock, sharedClock = clock, random = Math.random, graceMs = 0 } = this.#options;
    const loop = new WaitLoop({
      source: source(question),
      isLocal,
      clock: shares ? sharedClock : clock,
      random,
      signals: this.#signals,
      graceMs,
      onEmpty: () => {
        if (loops.delete(key) && loops.size === 0) this.#loops.delete(record);
      },
    });
    this.#loops.set(record, loops.set(key, loop));
    return loop;
  }
}
