import { MAX_ANSWER_BYTES } from "../../core/limits.js";
import type { InputOf, OutputOf, TransitionName } from "../../core/registry.js";
import { CoordinationError } from "../../errors.js";
import { baseUrl } from "../../http/base-url.js";
import { networkCode } from "../../http/network-code.js";
import { BodyTooLarge, MAX_READ_BYTES, readAnswer as readText } from "../../http/read-body.js";
import type { RetryPolicy } from "../../lib/backoff.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import { inMillis } from "../../lib/duration.js";
import { checkInteger, checkTtlSec } from "../../lib/validate.js";
import { answerSize, lostAnswer } from "../../runtime/access.js";
import type {
  Backend,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  Watched,
  WatchOptions,
} from "../../runtime/backend.js";
import { type Carrier, HTTP_LANES, type Joinable, Joined, type Outcome } from "../../runtime/batcher.js";
import { type Limit, within } from "../../runtime/deadline.js";
import type { ListAnswer, ListQuery } from "../../runtime/listing.js";
import { GRACE_MS, longPoll, MAX_HOP_MS } from "../../runtime/long-poll.js";
import type { WaitSource } from "../../runtime/wait-source.js";
import { type Question, Waiters } from "../../runtime/waiters.js";
import { type Asked, readAnswer, readOutcomes, unexpectedAnswer } from "./answer.js";
import type { HttpFetch, HttpOptions } from "./options.js";

/** One transition on one record. */
interface Operation extends Joinable {
  readonly transition: TransitionName;
  /** The body of a `/v1/run` request. */
  readonly body: string;
}

/** How long after its timeout a long poll may still answer, before it counts as lost. */
const HOP_SLACK_MS = 5_000;

/** Limits of one batch: as many operations as the Worker takes, and fewer bytes than it takes. */
const MAX_OPS = 100;
const MAX_SIZE = 260_000;
/** How many bytes of an answer one page of results counts for, at most. The Worker divides its answer's limit by the pages. */
const PAGE_SHARE = 131_072;
/** The size of an operation without its id and its input, in bytes. */
const SIZE_AROUND = 64;
/** How long operations are sent one by one after a Worker answered that it has no `/v1/batch`. */
const SINGLY_MS = 600_000;
/** Statuses that mean that the Worker ran no operation of the batch. */
const REFUSED_WHOLE = [400, 404, 405, 413, 415, 422];

const RESEND: RetryPolicy = { maxAttempts: 3, baseDelayMs: 100, maxDelayMs: 400 };

/** Runs transitions by requests to the Worker. */
export class HttpBackend implements Backend {
  readonly #base: string;
  readonly #token: string;
  readonly #fetch: HttpFetch;
  readonly #requestTimeoutMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sending: Omit<Carrier<Joinable, never>, "send">;
  readonly #joined: Joined<Operation, object>;
  readonly #waiters: Waiters;
  /** Until this time each operation is sent in a request of its own. */
  #singlyUntilMs = 0;

  constructor(options: HttpOptions) {
    const { token } = options;
    const requestTimeoutMs = inMillis(options.requestTimeoutMs, "requestTimeoutMs") ?? 30_000;
    this.#base = baseUrl(options.url, options.allowHttp === true);
    if (typeof token !== "string" || !/^[!-~]+$/.test(token)) {
      throw new CoordinationError("misconfigured", "token must be a text of visible ASCII characters");
    }
    if (options.ttlSec !== undefined) checkTtlSec(options.ttlSec, "ttlSec");
    checkInteger(requestTimeoutMs, "requestTimeoutMs", 1, 300_000);
    this.#token = token;
    const { fetch: own } = options;
    // The platform's `fetch` fails when it is called as a method of another object.
    this.#fetch = (url, init) => (own ?? fetch)(url, init);
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#sending = {
      maxOps: MAX_OPS,
      maxSize: MAX_SIZE,
      maxAnswerSize: MAX_ANSWER_BYTES,
      lanes: HTTP_LANES,
      maxQueueMs: requestTimeoutMs,
      retry: RESEND,
      clock: this.#clock,
      random: this.#random,
    };
    this.#joined = new Joined({ ...this.#sending, send: (operations, signal) => this.#send(operations, signal) });
    this.#waiters = new Waiters({
      clock: this.#clock,
      random: this.#random,
      graceMs: GRACE_MS,
      source: (question) => this.#source(question),
      lookOnce: ({ transition, id, input }, signal) => this.run(transition, id, input, { signal }),
    });
  }

  /**
   * Runs one transition at the Worker. Transitions that begin in the same turn share a request.
   *
   * @throws {CoordinationError} the Worker's error; `backend_unavailable` when there is no answer, or an incomplete one.
   */
  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const { signal, resend = true } = options;
    const body = JSON.stringify({ id, input });
    const output = await this.#joined.run({
      transition,
      body,
      record: `${transition.split(".", 1)[0]}:${id}`,
      size: new TextEncoder().encode(body).length + SIZE_AROUND,
      answerSize: Math.min(answerSize(transition), PAGE_SHARE),
      applied: lostAnswer(transition),
      resend,
      signal,
    });
    return output as OutputOf<N>;
  }

  /** Waits at the Worker, one long poll after another. Reconnects after a lost connection, within the wait's time. */
  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#waiters.watch({ transition, id, input }, options);
  }

  /** @throws {CoordinationError} `unsupported`, always. */
  onWake<M extends WakingMachine>(_machine: M, _wake: Wake<M>): () => void {
    throw new CoordinationError(
      "unsupported",
      "the Worker's object delivers: set handlers, webhooks, retry and attemptTimeoutSec on its class",
    );
  }

  /** Sends one request that is not batched, and retries it like any operation. */
  async list({ machine, ...query }: ListQuery, { signal }: Pick<RunOptions, "signal"> = {}): Promise<ListAnswer> {
    const send = async (_: unknown, sent: AbortSignal): Promise<Outcome<ListAnswer>[]> => {
      const limit = { limitMs: this.#requestTimeoutMs, signal: sent, clock: this.#clock };
      const output = await this.#exchange(`list/${machine}`, JSON.stringify(query), limit, readAnswer);
      const answer = output as Partial<ListAnswer> | null;
      if (!Array.isArray(answer?.items) || typeof answer.asOfMs !== "number") throw unexpectedAnswer("no");
      return [{ value: answer as ListAnswer }];
    };
    const joined = new Joined<Joinable, ListAnswer>({ ...this.#sending, send });
    return joined.run({ record: "", size: 0, applied: "no", resend: true, signal });
  }

  #source(question: Question): WaitSource {
    const { transition, id, input } = question;
    const [clock, random] = [this.#clock, this.#random];
    return {
      looksByListening: true,
      listen: (loop) =>
        longPoll(loop, { clock, random, maxHopMs: MAX_HOP_MS, hop: (...hop) => this.#hop(question, ...hop) }),
      // The wait loop polls again by itself.
      look: (signal) => this.run(transition, id, input, { signal, resend: false }),
    };
  }

  /** One long poll at the Worker. Returns `undefined` when it timed out. */
  async #hop({ transition, id, input }: Question, hopMs: number, signal: AbortSignal): Promise<Watched | undefined> {
    // When the Worker does not answer, this poll ends and the wait goes on.
    const limit: Limit = { limitMs: hopMs + HOP_SLACK_MS, signal, background: true, clock: this.#clock };
    const output = await this.#post("watch", transition, JSON.stringify({ id, input, timeoutMs: hopMs }), limit);
    return output === null ? undefined : (output as Watched);
  }

  /** Sends the operations in one request, or one by one where the Worker refuses batches, or this one. */
  async #send(operations: readonly Operation[], signal: AbortSignal): Promise<readonly Outcome<object>[]> {
    const [only] = operations;
    if (operations.length === 1 && only !== undefined) return [{ value: await this.#sendOne(only) }];
    const isBatch = this.#clock.now() >= this.#singlyUntilMs;
    const outcomes = isBatch ? await this.#sendBatch(operations, signal) : undefined;
    if (outcomes !== undefined) return outcomes;
    const singly = operations.map(
      (operation): Promise<Outcome<object>> =>
        this.#sendOne(operation).then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        ),
    );
    return Promise.all(singly);
  }

  async #sendOne({ transition, body, signal }: Operation): Promise<object> {
    const limit = { limitMs: this.#requestTimeoutMs, signal, clock: this.#clock };
    const output = await this.#post("run", transition, body, limit);
    if (output === null) throw unexpectedAnswer(lostAnswer(transition));
    return output;
  }

  /** Returns `undefined` when the Worker refused the whole batch and ran nothing. */
  #sendBatch(operations: readonly Operation[], signal: AbortSignal): Promise<readonly Outcome<object>[] | undefined> {
    const items = operations.map(({ transition, body }) => `{"transition":"${transition}",${body.slice(1)}`);
    const transitions = operations.map(({ transition }) => transition);
    const limit = { limitMs: this.#requestTimeoutMs, signal, clock: this.#clock };
    return this.#exchange("batch", `{"operations":[${items}]}`, limit, (response, text, asked) => {
      const { status } = response;
      // A Worker of an earlier version.
      if (status === 404 || status === 405) this.#singlyUntilMs = this.#clock.now() + SINGLY_MS;
      // A refused batch is sent one by one, so that only the wrong operation gets the error.
      return REFUSED_WHOLE.includes(status) ? undefined : readOutcomes(response, text, { ...asked, transitions });
    });
  }

  /** Sends one request and returns its answer's `output`. */
  #post(verb: "run" | "watch", transition: TransitionName, body: string, limit: Limit): Promise<object | null> {
    return this.#exchange(`${verb}/${transition.replace(".", "/")}`, body, limit, readAnswer);
  }

  /** Sends one request. Ends with the answer, the timeout or the signal, whichever is first. */
  #exchange<Answer>(
    path: string,
    body: string,
    limit: Limit,
    read: (response: Response, text: string, asked: Asked) => Answer,
  ): Promise<Answer> {
    // A watch and a list write nothing. The batcher knows which operations of a batch only read.
    const applied = /^(watch|list)/.test(path) ? "no" : "unknown";
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
        text = await readText(response, signal, this.#clock);
      } catch (error) {
        const message =
          error instanceof BodyTooLarge
            ? `the answer is longer than ${MAX_READ_BYTES} bytes and was cut: check that url is the Worker's`
            : `no answer from the Worker${networkCode(error)}`;
        throw new CoordinationError("backend_unavailable", message, { retryable: true, applied });
      }
      return read(response, text, { applied, token: this.#token, nowMs: this.#clock.now() });
    });
  }
}
