import { lostAnswer } from "../../access.js";
import { fullJitterMs, type RetryPolicy } from "../../backoff.js";
import { baseUrl } from "../../base-url.js";
import { type Clock, systemClock } from "../../clock.js";
import type { RunOptions, Wake, WakingMachine, WatchableTransition, Watched, WatchOptions } from "../../coordinator.js";
import { CoordinationError } from "../../errors.js";
import { HTTP_LANES, type Joinable, Joined, type Outcome } from "../../joined.js";
import type { InputOf, OutputOf, TransitionName } from "../../machines/index.js";
import { networkCode } from "../../network-code.js";
import { Primitives } from "../../primitives.js";
import { checkInteger, checkNumber, checkTtlSec, MAX_SEC } from "../../validate.js";
import { timedOut } from "../../watchers.js";
import { type Limit, pause, within } from "../../within.js";
import { type Asked, outputOf, readAnswer, readOutcomes } from "./answer.js";

/** The part of `fetch` that is called. */
export type HttpFetch = (url: string, init: RequestInit) => Promise<Response>;

/** What an `HttpCoordinator` is made with. */
export interface HttpOptions {
  /** Where the Worker answers, such as `https://coordinator.example.workers.dev`: https, or http to this machine. */
  readonly url: string;
  /** The bearer token that the Worker knows. */
  readonly token: string;
  /** Default: the platform's. */
  readonly fetch?: HttpFetch;
  /** How long one request may take, in milliseconds. 1 to 300,000, default 30,000. */
  readonly requestTimeoutMs?: number;
  /** How long raw keys outlive their last write, and ended groups their end, in seconds. At most a year, default 3600. */
  readonly ttlSec?: number;
  /** The deadline of groups that give none, in seconds; 0 for none. */
  readonly completionTimeoutSec?: number;
  /** Development only, default false: http to any host. The token then travels in the open. */
  readonly allowHttp?: boolean;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

/** One transition on one record. */
interface Operation extends Joinable {
  readonly transition: TransitionName;
  /** What `/v1/run` takes. */
  readonly body: string;
}

/** The longest that one request waits at the Worker. */
const MAX_HOP_MS = 25_000;
/** How long after its time a hop's answer is waited for, before it counts as lost. */
const HOP_SLACK_MS = 5_000;
/** How long after its time a wait hears out an answer that is on its way. */
const GRACE_MS = 50;
/** Whoever is asked to come back later than this is told so instead. */
const MAX_RETRY_AFTER_MS = 5_000;

/** What one batch carries at most: fewer operations, and less in bytes, than the Worker takes. */
const MAX_OPS = 100;
const MAX_SIZE = 260_000;
/** What an operation takes besides its id and its input. */
const SIZE_AROUND = 64;
/** For so long a Worker that takes no batch is not asked again. */
const SINGLY_MS = 600_000;
/** A batch that is refused by these was not begun. */
const REFUSED_WHOLE = [400, 404, 405, 413, 415, 422];

const RESEND: RetryPolicy = { maxAttempts: 3, baseDelayMs: 100, maxDelayMs: 400 };
const REWATCH: RetryPolicy = { maxAttempts: 100, baseDelayMs: 250, maxDelayMs: 2_000 };

/**
 * Coordination over HTTP, by the Worker of `edge-coordinator/worker`: for any runtime with `fetch`.
 *
 * An operation is one request, and those that begin in the same turn of the event loop share one. It is sent again, at most
 * twice, where that is harmless; redirects are not followed, since they would carry the token along. Handlers and webhooks
 * run in the Worker's object.
 *
 * @example
 * ```ts
 * const coordinator = new HttpCoordinator({ url: "https://coordinator.example.workers.dev", token: env.COORDINATOR_TOKEN });
 * ```
 */
export class HttpCoordinator extends Primitives {
  readonly isDistributed = true;
  readonly defaultTtlSec: number;
  readonly completionTimeoutSec?: number;
  readonly #base: string;
  readonly #token: string;
  readonly #fetch: HttpFetch;
  readonly #requestTimeoutMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #joined: Joined<Operation, object>;
  /** Until then the Worker is asked for one operation at a time. */
  #singlyUntilMs = 0;

  /**
   * @throws {CoordinationError} `misconfigured` for a URL or token that cannot be used, `invalid_input` for an option out of
   * range.
   */
  constructor(options: HttpOptions) {
    super();
    const { token, ttlSec = 3_600, completionTimeoutSec, requestTimeoutMs = 30_000 } = options;
    this.#base = baseUrl(options.url, options.allowHttp === true);
    if (typeof token !== "string" || !/^[!-~]+$/.test(token)) {
      throw new CoordinationError("misconfigured", "token must be a text of visible ASCII characters");
    }
    checkTtlSec(ttlSec, "ttlSec");
    checkInteger(requestTimeoutMs, "requestTimeoutMs", 1, 300_000);
    if (completionTimeoutSec !== undefined) {
      checkNumber(completionTimeoutSec, "completionTimeoutSec", 0, MAX_SEC);
      this.completionTimeoutSec = completionTimeoutSec;
    }
    this.defaultTtlSec = ttlSec;
    this.#token = token;
    const { fetch: own } = options;
    // A platform's own refuses to be called as a method of something else.
    this.#fetch = (url, init) => (own ?? fetch)(url, init);
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#joined = new Joined({
      maxOps: MAX_OPS,
      maxSize: MAX_SIZE,
      lanes: HTTP_LANES,
      maxQueueMs: requestTimeoutMs,
      retry: RESEND,
      clock: this.#clock,
      random: this.#random,
      send: (operations, signal) => this.#send(operations, signal),
    });
  }

  /**
   * Runs one transition at the Worker. Those that begin in the same turn share a request.
   *
   * @throws {CoordinationError} what the Worker answered; `backend_unavailable` when it gave no answer, or one cut short.
   */
  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const { signal, resend = true } = options;
    const body = JSON.stringify(resend ? { id, input } : { id, input, resend });
    const output = await this.#joined.run({
      transition,
      body,
      record: `${transition.split(".", 1)[0]}:${id}`,
      size: new TextEncoder().encode(body).length + SIZE_AROUND,
      applied: lostAnswer(transition),
      resend,
      signal,
    });
    return output as OutputOf<N>;
  }

  /** Waits at the Worker, hop by hop; a lost connection is taken up again within the wait's time. */
  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    const { timeoutMs, signal, background = false } = options;
    checkNumber(timeoutMs, "timeoutMs", 0, MAX_SEC * 1000);
    const endsAtMs = this.#clock.now() + timeoutMs;
    for (let failures = 0; ; ) {
      const hopAtMs = this.#clock.now();
      const leftMs = Math.max(0, endsAtMs - hopAtMs);
      const hopMs = Math.min(MAX_HOP_MS, Math.ceil(leftMs));
      // One look, or a look that may wait: the end of the wait ends it in any case, and a silent Worker the hop.
      const limitMs = timeoutMs === 0 ? this.#requestTimeoutMs : Math.min(leftMs + GRACE_MS, hopMs + HOP_SLACK_MS);
      const limit: Limit = { limitMs, signal, background, clock: this.#clock };
      let wishMs = 0;
      try {
        const output = await this.#post("watch", transition, JSON.stringify({ id, input, timeoutMs: hopMs }), limit);
        const told = output === null ? undefined : (outputOf(transition, output) as OutputOf<N> & Watched);
        // Anything else says that the hop is over.
        if (told?.ready) return told;
        // An answer long before its time comes from something that does not wait: it must not be asked in a loop.
        failures = this.#clock.now() - hopAtMs < hopMs / 2 ? failures + 1 : 0;
      } catch (error) {
        if (signal?.aborted || !(error instanceof CoordinationError)) throw error;
        if (timeoutMs === 0 || !error.retryable) throw error;
        failures++;
        wishMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
      }
      if (failures > 0) {
        const backoffMs = Math.max(REWATCH.baseDelayMs, fullJitterMs(REWATCH, failures + 1, this.#random()), wishMs);
        await pause({ ...limit, limitMs: Math.min(backoffMs, endsAtMs - this.#clock.now()) });
      }
      if (this.#clock.now() >= endsAtMs) throw timedOut(timeoutMs);
    }
  }

  /** @throws {CoordinationError} `unsupported`, always. */
  onWake<M extends WakingMachine>(_machine: M, _wake: Wake<M>): () => void {
    throw new CoordinationError(
      "unsupported",
      "the Worker's object delivers: set handlers, webhooks, retry and attemptTimeoutSec on its class",
    );
  }

  /** One request for them all; one for each, where the Worker takes no batch, or not this one. */
  async #send(operations: readonly Operation[], signal: AbortSignal): Promise<readonly Outcome<object>[]> {
    const isBatch = operations.length > 1 && this.#clock.now() >= this.#singlyUntilMs;
    const outcomes = isBatch ? await this.#sendBatch(operations, signal) : undefined;
    return outcomes ?? Promise.all(operations.map((operation) => this.#sendOne(operation)));
  }

  async #sendOne({ transition, body, signal }: Operation): Promise<Outcome<object>> {
    try {
      const limit = { limitMs: this.#requestTimeoutMs, signal, clock: this.#clock };
      return { value: outputOf(transition, await this.#post("run", transition, body, limit)) };
    } catch (error) {
      return { error };
    }
  }

  /** `undefined`: refused as a whole, before anything was done. */
  #sendBatch(operations: readonly Operation[], signal: AbortSignal): Promise<readonly Outcome<object>[] | undefined> {
    const items = operations.map(({ transition, body }) => `{"transition":"${transition}",${body.slice(1)}`);
    const transitions = operations.map(({ transition }) => transition);
    const limit = { limitMs: this.#requestTimeoutMs, signal, clock: this.#clock };
    return this.#exchange("batch", `{"operations":[${items}]}`, limit, (response, text, asked) => {
      const { status } = response;
      // A Worker of an earlier version.
      if (status === 404 || status === 405) this.#singlyUntilMs = this.#clock.now() + SINGLY_MS;
      // What is wrong with one of them is not said to the others.
      return REFUSED_WHOLE.includes(status) ? undefined : readOutcomes(response, text, { ...asked, transitions });
    });
  }

  /** One request, and its answer's `output`. */
  #post(verb: "run" | "watch", transition: TransitionName, body: string, limit: Limit): Promise<unknown> {
    return this.#exchange(`${verb}/${transition.replace(".", "/")}`, body, limit, readAnswer);
  }

  /** One request. Ends with the answer, the limit or the signal, whichever is first. */
  #exchange<Answer>(
    path: string,
    body: string,
    limit: Limit,
    read: (response: Response, text: string, asked: Asked) => Answer,
  ): Promise<Answer> {
    // Who only reads is told so: by whoever joins operations, or here, since nobody watches to write.
    const applied = path.startsWith("watch") ? "no" : "unknown";
    const late = (): CoordinationError =>
      new CoordinationError("backend_unavailable", "the Worker did not answer in time", { retryable: true, applied });
    return within(limit, late, async (signal) => {
      let response: Response;
      let text: string;
      try {
        response = await this.#fetch(`${this.#base}/v1/${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
          body,
          redirect: "manual",
          signal,
        });
        text = await response.text();
      } catch (error) {
        const message = `no answer from the Worker${networkCode(error)}`;
        throw new CoordinationError("backend_unavailable", message, { retryable: true, applied });
      }
      return read(response, text, { applied, token: this.#token, nowMs: this.#clock.now() });
    });
  }
}
