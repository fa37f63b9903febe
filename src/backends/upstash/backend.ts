import { MAX_ANSWER_BYTES } from "../../core/limits.js";
import type { InputOf, MachineName, OutputOf, TransitionName } from "../../core/registry.js";
import type { IndexLine } from "../../core/store.js";
import { Deliverer } from "../../delivery/deliverer.js";
import { BACKEND_KINDS } from "../../delivery/targets/registry.js";
import { CoordinationError } from "../../errors.js";
import { type Clock, systemClock } from "../../lib/clock.js";
import { inMillis } from "../../lib/duration.js";
import { checkId, checkInteger, checkKeyPrefix } from "../../lib/validate.js";
import { answerSize, lostAnswer } from "../../runtime/access.js";
import {
  type Backend,
  checkDrain,
  type Drainable,
  type DrainOptions,
  type DrainReport,
  type RunOptions,
  type Wake,
  type WakingMachine,
  type WatchableTransition,
  type Watched,
  type WatchOptions,
} from "../../runtime/backend.js";
import { type Carrier, HTTP_LANES, type Joinable, Joined, type Outcome } from "../../runtime/batcher.js";
import { drainQueue } from "../../runtime/drain.js";
import { emitChanges, hookOrWarning } from "../../runtime/events.js";
import { answerOf, type FoundLine, itemsOf, type ListAnswer, type ListQuery } from "../../runtime/listing.js";
import { DEFAULT_KEY_PREFIX, recordName } from "../../runtime/placement.js";
import type { WaitSource } from "../../runtime/wait-source.js";
import { isMeant, type Question, topicOf, Waiters } from "../../runtime/waiters.js";
import { Wakers } from "../../runtime/wakers.js";
import { Client } from "./client.js";
import { ShardedDueQueue } from "./due-queue.js";
import { type Evaluation, evaluate } from "./evaluate.js";
import { explained } from "./failure.js";
import { keysOf } from "./keys.js";
import { endpointOf, type UpstashOptions } from "./options.js";
import { readOutput, type ScriptReply, topicsOf } from "./reply.js";
import { isTransition, Scripts } from "./scripts.js";
import { ShardedIndex } from "./sharded-index.js";
import { Subscriptions } from "./subscription.js";

/** How many records a drain wakes concurrently. They share requests. */
const WAKES_AT_ONCE = 32;
const MAX_REQUEST_TIMEOUT_MS = 600_000;
const POLLING = { minMs: 500, maxMs: 5_000, notifiedMaxMs: 5_000 };
const RESEND = { maxAttempts: 3, baseDelayMs: 100, maxDelayMs: 1_000 };
/** Limits of one request: far less than the 10 MB that Upstash accepts, even with escaped characters. */
const MAX_OPS = 128;
const MAX_SIZE = 262_144;
/** The size of an operation without its input, in bytes. */
const SIZE_AROUND = 512;

/** Runs transitions as Redis scripts, and keeps due records in sorted sets. */
export class UpstashBackend implements Backend, Drainable {
  readonly #clockSkewMs: () => number;
  readonly #prefix: string;
  readonly #client: Client;
  readonly #sending: Omit<Carrier<Joinable, never>, "send">;
  readonly #joined: Joined<Evaluation, ScriptReply>;
  readonly #subscriptions: Subscriptions;
  readonly #scripts: Scripts;
  readonly #waiters: Waiters;
  readonly #wakers: Wakers;
  readonly #clock: Clock;

  /**
   * @throws {CoordinationError} `misconfigured` without an address and a token, or for a client that does not expose them;
   * `invalid_input` for an option out of range.
   */
  constructor(options: UpstashOptions, clockSkewMs: () => number) {
    const { keyPrefix = DEFAULT_KEY_PREFIX, keyLocking = "auto" } = options;
    const { clock = systemClock } = options;
    const requestTimeoutMs = inMillis(options.requestTimeoutMs, "requestTimeoutMs") ?? 10_000;
    const onEvent = hookOrWarning(options.onEvent);
    checkKeyPrefix(keyPrefix, "keyPrefix");
    checkInteger(requestTimeoutMs, "requestTimeoutMs", 1, MAX_REQUEST_TIMEOUT_MS);
    this.#clockSkewMs = clockSkewMs;
    this.#clock = clock;
    this.#prefix = keyPrefix;
    this.#client = new Client(endpointOf(options), { requestTimeoutMs, fetch: options.fetch, clock });
    const scripts = new Scripts(keyLocking);
    this.#scripts = scripts;
    this.#sending = {
      maxOps: MAX_OPS,
      maxSize: MAX_SIZE,
      maxAnswerSize: MAX_ANSWER_BYTES,
      lanes: HTTP_LANES,
      maxQueueMs: requestTimeoutMs,
      retry: RESEND,
      clock,
      random: Math.random,
    };
    const send = async (evaluations: readonly Evaluation[], signal: AbortSignal) => {
      const outcomes = await evaluate(evaluations, { signal, scripts, client: this.#client });
      for (const [i, outcome] of outcomes.entries()) {
        // Also of calls whose callers have left meanwhile.
        if ("value" in outcome) emitChanges(onEvent, evaluations[i] as Evaluation, outcome.value.events);
      }
      return outcomes;
    };
    this.#joined = new Joined({ ...this.#sending, send });
    this.#subscriptions = new Subscriptions(this.#client);
    this.#waiters = new Waiters({
      clock,
      source: (question) => this.#source(question),
      lookOnce: ({ transition, id, input }, signal) => this.run(transition, id, input, { signal }),
    });
    this.#wakers = new Wakers({
      run: async (machine, id, input) => (await this.#evaluate(`${machine}.woken`, id, input, {})).output as never,
      own: new Deliverer({ coordinator: this, kinds: BACKEND_KINDS, host: { groups: () => this, onEvent } }),
      clock,
      onEvent,
    });
  }

  async run<N extends TransitionName>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: RunOptions = {},
  ): Promise<OutputOf<N>> {
    const { due, output } = await this.#evaluate(transition, id, input, options);
    const [machine, step] = partsOf(transition);
    if (due !== undefined && step !== "woken") {
      this.#wakers.wakeSoon(machine as WakingMachine, id, { isFresh: due === "fresh", waitUntil: options.waitUntil });
    }
    return output as OutputOf<N>;
  }

  /**
   * Runs a transition until its output is `ready`. Runs it at once, and at every message about the record. Also polls every
   * 0.5 to 5 s in case a message is lost. In the background it only polls. Retries passing failures of the backend.
   *
   * @throws {CoordinationError} `wait_timeout` after `timeoutMs`; `invalid_input` when that is not 0 to a year. Errors that do
   * not pass by themselves, such as `unauthorized`, are thrown at once. Rejects with `signal.reason` when aborted.
   */
  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    return this.#waiters.watch({ transition, id, input }, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#wakers.add(machine, wake);
  }

  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    checkDrain(options);
    const { limit = 100, budgetMs = 10_000, signal, waitUntil } = options;
    const queue = new ShardedDueQueue(this.#sharedOptions(signal));
    const wakers = this.#wakers;
    const pool = wakers.poolOfDrain();
    const pace = { limit, budgetMs, signal, waitUntil, atOnce: WAKES_AT_ONCE, clock: this.#clock, wakers, pool };
    return drainQueue(queue, pace);
  }

  /**
   * Costs two requests: 64 short scripts, one a shard, and one script for each line. A third one asks shards again, where one
   * shard holds many lines of the page. Another one removes lines whose records are gone.
   */
  async list(query: ListQuery, { signal }: Pick<RunOptions, "signal"> = {}): Promise<ListAnswer> {
    const index = new ShardedIndex(this.#sharedOptions(signal));
    const page = await index.page(query);
    const stale: { found: FoundLine; line: IndexLine | undefined }[] = [];
    const items = await itemsOf(
      { ...page, lists: query.lists },
      (id) => this.run(`${query.machine}.brief`, id, {}, { signal }),
      (found, line) => stale.push({ found, line }),
    );
    if (stale.length > 0) await index.mend(query, stale);
    return answerOf(items, page);
  }

  /** Returns what reads of all shards need. */
  #sharedOptions(signal: AbortSignal | undefined) {
    return {
      client: this.#client,
      scripts: this.#scripts,
      prefix: this.#prefix,
      skewMs: this.#clockSkewMs(),
      signal,
      request: <T>(send: (sent: AbortSignal) => Promise<T>, ended: AbortSignal | undefined) =>
        this.#request(send, ended),
    };
  }

  #source(question: Question): WaitSource {
    const { transition, id, input } = question;
    const topic = topicOf(question);
    const [machine, step] = partsOf(transition);
    const { channel, name } = keysOf(this.#prefix, machine, id);
    // The message holds the output of `wait` at the end. Waits for any generation or for that one take it as their answer.
    const { background: _, isKnown: __, generation, ...asked } = input as InputOf<"completion.wait">;
    const isPlain = step === "wait" && JSON.stringify(asked) === "{}";
    const read = (text: string): Watched | undefined => {
      const output = readOutput(text) as Watched & { readonly view?: { readonly generation?: number } };
      return generation === undefined || output.view?.generation === generation ? output : undefined;
    };
    return {
      polling: POLLING,
      // The wait loop polls again by itself.
      look: (signal) => this.run(transition, id, input, { signal, resend: false }),
      listen: (loop) =>
        this.#subscriptions.join(channel, name, (news) => {
          if (isMeant(topicsOf(news?.text), topic)) loop.notify(news);
        }),
      ...(isPlain && { read }),
    };
  }

  /** Sends one request that is not batched, and retries it like any operation. */
  #request<T>(send: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const sendOne = async (_: unknown, sent: AbortSignal): Promise<Outcome<T>[]> => {
      const outcome = send(sent).then((value) => ({ value }));
      return [await outcome.catch((error: unknown) => ({ error: explained(error) }))];
    };
    const joined = new Joined<Joinable, T>({ ...this.#sending, send: sendOne });
    return joined.run({ record: "", size: 0, applied: "no", resend: true, signal });
  }

  /** Runs one transition, and retries it where that is safe. */
  async #evaluate(transition: TransitionName, id: string, input: unknown, options: RunOptions): Promise<ScriptReply> {
    const [machine, step] = partsOf(transition);
    checkId(id, "id");
    const { name, record, due, index, channel } = keysOf(this.#prefix, machine, id);
    const text = JSON.stringify(input);
    const reply = await this.#joined.run({
      transition,
      machine,
      id,
      record,
      keys: index === undefined ? [record, due] : [record, due, index],
      args: [step, text, name, channel, String(this.#clockSkewMs())],
      size: text.length + SIZE_AROUND,
      answerSize: answerSize(transition),
      applied: lostAnswer(transition),
      resend: options.resend !== false,
      signal: options.signal,
    });
    // Waiters of this instance receive the result without the message.
    if (reply.news !== undefined) this.#notify(machine, id, reply.news);
    return reply;
  }

  #notify(machine: string, id: string, news: string): void {
    this.#waiters.notify(recordName(machine, id), topicsOf(news), { text: textOf(news) });
  }
}

function textOf(news: string): string | undefined {
  return news === "" || topicsOf(news).length > 0 ? undefined : news;
}

function partsOf(transition: TransitionName) {
  if (!isTransition(transition)) throw new CoordinationError("invalid_input", "there is no such transition");
  const dot = transition.indexOf(".");
  return [transition.slice(0, dot) as MachineName, transition.slice(dot + 1)] as const;
}
