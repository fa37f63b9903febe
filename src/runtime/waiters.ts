import type { InputOf, OutputOf } from "../core/registry.js";
import { CoordinationError } from "../errors.js";
import { AbortListeners } from "../lib/abort-listeners.js";
import type { Clock } from "../lib/clock.js";
import { isEphemeral } from "../lib/ephemeral.js";
import { checkId, checkNumber, MAX_SEC } from "../lib/validate.js";
import type { WatchableTransition, Watched } from "./backend.js";
import { recordName } from "./placement.js";
import { timedOut, type WaiterOptions, WaitLoop } from "./wait-loop.js";
import type { WaitSource } from "./wait-source.js";

/** The question of a wait: is the transition's output on this record ready? */
export interface Question<N extends WatchableTransition = WatchableTransition> {
  readonly transition: N;
  readonly id: string;
  readonly input: InputOf<N>;
}

/** A loop, and the topic that it hears. */
interface Loop {
  readonly loop: WaitLoop;
  readonly topic: string | undefined;
}

/** Returns the topic of a question: the `op` of its input. A question without one hears only what is for all. */
export const topicOf = ({ input }: Question): string | undefined => (input as { readonly op?: string }).op;

/** Whether a notification for these topics is for a wait with this topic. */
export const isMeant = (topics: readonly string[], topic: string | undefined): boolean =>
  topics.length === 0 || (topic !== undefined && topics.includes(topic));

export interface WaitersOptions {
  readonly clock: Clock;
  /** The clock of waits that share a context for I/O: it uses one platform timer for all of them. Default: `clock`. */
  readonly sharedClock?: Clock;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
  /** Returns the source of a wait for this question. */
  source(question: Question): WaitSource;
  /** Looks once for a caller with `timeoutMs` 0. Retries the look like any other read. */
  lookOnce(question: Question, signal: AbortSignal | undefined): Watched | Promise<Watched>;
  /** Whether looks are answered in this process, synchronously and without I/O. @default false */
  readonly isLocal?: boolean;
  /** Whether all callers share one context for I/O, as in a Durable Object. Default: false on edge platforms, else true. */
  readonly isOneContext?: boolean;
  /** How long after its timeout a wait still takes an answer that is on its way, in milliseconds. @default 0 */
  readonly graceMs?: number;
  /** How many waits may be open. Further waits are refused. Default: no limit. */
  readonly maxWaits?: number;
}

/**
 * All waits of a coordinator. Callers with the same question share looks and output.
 *
 * On edge platforms the I/O of a request ends with the request, and no other request may use it. There each wait looks
 * for itself.
 */
export class Waiters {
  readonly #options: WaitersOptions;
  readonly #signals = new AbortListeners();
  /** The loops by the record's name, then by the question. */
  readonly #loops = new Map<string, Map<string, Loop>>();
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
   * @throws {CoordinationError} `wait_timeout` after `timeoutMs`; `limit_exceeded`, retryable, beyond `maxWaits`;
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

  /**
   * Makes the waits for the record look. `topics`: only those whose input has one of them as its `op`; empty: all.
   * `message`: a notification of a write arrived, with its text if it has one.
   */
  notify(record: string, topics: readonly string[] = [], message?: { readonly text: string | undefined }): void {
    const loops = this.#loops.get(record);
    if (loops === undefined || !(this.#options.isLocal || this.#shares())) return;
    for (const { loop, topic } of [...loops.values()]) if (isMeant(topics, topic)) loop.notify(message);
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
    const loops = this.#loops.get(record) ?? new Map<string, Loop>();
    const standing = loops.get(key);
    if (standing !== undefined) return standing.loop;
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
    this.#loops.set(record, loops.set(key, { loop, topic: topicOf(question) }));
    return loop;
  }
}
