import { lostAnswer } from "../../access.js";
import { systemClock } from "../../clock.js";
import {
  checkDrain,
  type DrainOptions,
  type DrainReport,
  type RunOptions,
  type Wake,
  type WakingMachine,
  type WatchableTransition,
  type Watched,
  type WatchOptions,
} from "../../coordinator.js";
import { Deliverer } from "../../deliverer.js";
import { CoordinationError } from "../../errors.js";
import { hookOrWarning } from "../../events.js";
import { type Carrier, HTTP_LANES, type Joinable, Joined, type Outcome } from "../../joined.js";
import type { InputOf, MachineName, OutputOf, TransitionName } from "../../machines/index.js";
import { Primitives } from "../../primitives.js";
import { checkId, checkInteger, checkKeyPrefix, checkNumber, MAX_SEC } from "../../validate.js";
import { Wakes } from "../../wakes.js";
import { orAborted } from "../../within.js";
import { Client } from "./client.js";
import { drainLines } from "./drain.js";
import { type DueLine, type DueLines, postpone, readDueLines } from "./due-queue.js";
import { type Evaluation, evaluate } from "./evaluate.js";
import { explained } from "./failure.js";
import { keysOf } from "./keys.js";
import { endpointOf, type UpstashOptions } from "./options.js";
import { readOutput, type ScriptReply } from "./reply.js";
import { isTransition, Scripts } from "./scripts.js";
import { Subscriptions } from "./subscription.js";
import { type Watch, watchUntilReady } from "./watch.js";

/** How far into one shard's queue a drain looks. */
const MAX_PER_SHARD = 100;
const MAX_REQUEST_TIMEOUT_MS = 600_000;
const RESEND = { maxAttempts: 3, baseDelayMs: 100, maxDelayMs: 1_000 };
/** What one request carries at most: far less than the 10 MB that Upstash takes, however its characters are written. */
const MAX_OPS = 128;
const MAX_SIZE = 262_144;
/** What an operation takes besides its input. */
const SIZE_AROUND = 512;

/**
 * Coordination over Upstash Redis, or any Redis behind its REST protocol: each operation is one HTTP request that runs one
 * script, atomically, by the server's clock. Operations that begin in the same turn of the event loop share a request.
 *
 * It promises what the database keeps. Upstash replicates asynchronously: a failover may lose the latest writes.
 * Timers ring when somebody asks: any call that touches a record which is due wakes it, and `drain` wakes all that are. Call
 * `drain` from a schedule, or deadlines and second attempts wait for the next call that happens by.
 *
 * Cheap to make: make one per request on platforms that forbid sharing sockets between requests (Workers).
 *
 * @example
 * const coordinator = new UpstashCoordinator({ url: env.UPSTASH_REDIS_REST_URL, token: env.UPSTASH_REDIS_REST_TOKEN });
 */
export class UpstashCoordinator extends Primitives {
  readonly isDistributed = true;
  readonly defaultTtlSec: number;
  readonly completionTimeoutSec?: number;
  readonly #prefix: string;
  readonly #client: Client;
  readonly #sending: Omit<Carrier<Joinable, never>, "send">;
  readonly #joined: Joined<Evaluation, ScriptReply>;
  readonly #subscriptions: Subscriptions;
  readonly #wakes: Wakes;

  /**
   * @throws {CoordinationError} `misconfigured` without an address and a token, or for a client that hides them;
   * `invalid_input` for an option out of range.
   */
  constructor(options: UpstashOptions) {
    super();
    const { keyPrefix = "coord:", ttlSec = 3_600, completionTimeoutSec, keyLocking = "auto" } = options;
    const { requestTimeoutMs = 10_000 } = options;
    const onEvent = hookOrWarning(options.onEvent);
    checkKeyPrefix(keyPrefix, "keyPrefix");
    checkNumber(ttlSec, "ttlSec", 0, MAX_SEC);
    checkInteger(requestTimeoutMs, "requestTimeoutMs", 1, MAX_REQUEST_TIMEOUT_MS);
    if (completionTimeoutSec !== undefined) {
      checkNumber(completionTimeoutSec, "completionTimeoutSec", 0, MAX_SEC);
      this.completionTimeoutSec = completionTimeoutSec;
    }
    this.defaultTtlSec = ttlSec;
    this.#prefix = keyPrefix;
    this.#client = new Client(endpointOf(options), requestTimeoutMs, options.fetch);
    const scripts = new Scripts(keyLocking);
    this.#sending = {
      maxOps: MAX_OPS,
      maxSize: MAX_SIZE,
      lanes: HTTP_LANES,
      maxQueueMs: requestTimeoutMs,
      retry: RESEND,
      clock: systemClock,
      random: Math.random,
    };
    const send = (evaluations: readonly Evaluation[], signal: AbortSignal) =>
      evaluate(evaluations, { signal, scripts, client: this.#client });
    this.#joined = new Joined({ ...this.#sending, send });
    this.#subscriptions = new Subscriptions(this.#client);
    this.#wakes = new Wakes(
      async (machine, id, input) => (await this.#evaluate(`${machine}.woken`, id, input, {})).output as never,
      new Deliverer({ coordinator: this, requests: () => this, onEvent }),
      onEvent,
    );
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
      this.#wakes.wakeSoon(machine as WakingMachine, id, { isFresh: due === "fresh", waitUntil: options.waitUntil });
    }
    return output as OutputOf<N>;
  }

  /**
   * Runs a transition until its output says `ready`: looks at once, at every message about the record, and from time to time
   * (0.5 to 5 s) in case one is lost; in the background only so. Passing failures of the backend are waited out.
   *
   * @throws {CoordinationError} `wait_timeout` after `timeoutMs`; `invalid_input` when that is not 0 to a year; at once what
   * does not pass by itself, such as `unauthorized`. Rejects with `signal.reason` when aborted.
   */
  async watch<N extends WatchableTransition>(
    transition: N,
    id: string,
    input: InputOf<N>,
    options: WatchOptions,
  ): Promise<OutputOf<N>> {
    checkNumber(options.timeoutMs, "timeoutMs", 0, MAX_SEC * 1000);
    const [machine, step] = partsOf(transition);
    const { channel, name } = keysOf(this.#prefix, machine, id);
    // Messages bring what `wait` says to whoever asks for nothing in particular.
    const isPlain = step === "wait" && JSON.stringify(input) === "{}";
    const watch: Watch<OutputOf<N> & Watched> = {
      // The watch itself looks again after a failure, within its own time.
      look: (signal: AbortSignal | undefined) =>
        this.run(transition, id, input, { resend: false, ...(signal && { signal }) }) as Promise<OutputOf<N> & Watched>,
      listen: (ring) => this.#subscriptions.join(channel, name, ring),
      ...(isPlain && { read: (text) => readOutput(text) as (OutputOf<N> & Watched) | undefined }),
    };
    return watchUntilReady(watch, options);
  }

  onWake<M extends WakingMachine>(machine: M, wake: Wake<M>): () => void {
    return this.#wakes.add(machine, wake);
  }

  /**
   * Wakes what is due: one request to see it, one or more for each record. Meant for a schedule, once a minute say, and safe
   * to run by many at once: a claim is fenced inside its record. A record that fails is reported to `onEvent` and
   * put off by half a minute. Without anybody registered by `onWake` it still ends groups at their deadlines.
   *
   * @throws {CoordinationError} `invalid_input` for a `limit` that is not 1 to 10,000 or a `budgetMs` that is not 1 to
   * 600,000; whatever `run` throws when the queue cannot be read.
   */
  override async drain(options: DrainOptions = {}): Promise<DrainReport> {
    checkDrain(options);
    const { limit = 100, budgetMs = 10_000, signal } = options;
    const perShard = Math.min(limit, MAX_PER_SHARD);
    const lines = await this.#readDueLines(perShard, signal);
    const drainer = {
      wake: ({ machine, id }: DueLine) => this.#wakes.wake(machine, id),
      // One that cannot be put off either is met again by the next drain.
      postpone: (line: DueLine, atMs: number) => postpone(this.#client, line, { atMs, signal }).catch(() => {}),
    };
    const work = drainLines(lines, drainer, { limit, budgetMs, signal });
    return orAborted(work, signal);
  }

  /**
   * Milliseconds by which this coordinator's view of the server's clock is moved: for tests.
   * @internal
   */
  protected clockSkewMs(): number {
    return 0;
  }

  /** By itself, and again like any operation. */
  #readDueLines(perShard: number, signal: AbortSignal | undefined): Promise<DueLines> {
    const read = { prefix: this.#prefix, perShard, skewMs: this.clockSkewMs() };
    const send = async (_: unknown, sent: AbortSignal): Promise<Outcome<DueLines>[]> => {
      const outcome = readDueLines(this.#client, { ...read, signal: sent }).then((value) => ({ value }));
      return [await outcome.catch((error: unknown) => ({ error: explained(error) }))];
    };
    return new Joined({ ...this.#sending, send }).run({ record: "", size: 0, applied: "no", resend: true, signal });
  }

  /** One transition, and again where that is allowed. */
  async #evaluate(transition: TransitionName, id: string, input: unknown, options: RunOptions): Promise<ScriptReply> {
    const [machine, step] = partsOf(transition);
    checkId(id, "id");
    const { name, record, due, channel } = keysOf(this.#prefix, machine, id);
    const text = JSON.stringify(input);
    return this.#joined.run({
      transition,
      record,
      keys: [record, due],
      args: [step, text, name, channel, String(this.clockSkewMs())],
      size: text.length + SIZE_AROUND,
      applied: lostAnswer(transition),
      resend: options.resend !== false,
      signal: options.signal,
    });
  }
}

function partsOf(transition: TransitionName) {
  if (!isTransition(transition)) throw new CoordinationError("invalid_input", "there is no such transition");
  const dot = transition.indexOf(".");
  return [transition.slice(0, dot) as MachineName, transition.slice(dot + 1)] as const;
}
