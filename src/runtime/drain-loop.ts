import { CoordinationError } from "../errors.js";
import { fullJitterMs } from "../lib/backoff.js";
import type { Clock } from "../lib/clock.js";
import { checkNumber } from "../lib/validate.js";
import type { Drainable } from "./backend.js";
import { checkDrain, type DrainOptions, type DrainReport } from "./backend.js";
import { within } from "./deadline.js";
import { emit, type OnEvent } from "./events.js";

/** The intervals and limits of a series of drains. */
export interface DrainRoundsOptions {
  /** The longest pause between two drains, in milliseconds: 100 to a day. */
  readonly everyMs: number;
  /** The shortest pause while no due work is left, in milliseconds: 10 to `everyMs`. Default 1,000, or `everyMs` if less. */
  readonly minPauseMs?: number | undefined;
  readonly limit?: number | undefined;
  readonly budgetMs?: number | undefined;
  /**
   * Whether other processes drain the same queue at this interval. Pauses are then jittered, so that they do not drain
   * together.
   */
  readonly isShared: boolean;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly onEvent: OnEvent | undefined;
}

const MIN_EVERY_MS = 100;
const MAX_EVERY_MS = 86_400_000;
const MIN_PAUSE_MS = 10;
const DEFAULT_MIN_PAUSE_MS = 1_000;
/** A drain that lasts longer is abandoned: platforms end an alarm, like an invocation, after 15 minutes. */
const MAX_DRAIN_MS = 840_000;
/** The largest fraction by which the jitter shortens a shared interval. */
const SPREAD = 0.1;
/** How long after its due time a record is looked for: the drain's clock may be a little ahead of the backend's. */
const SLACK_MS = 50;
/** The longest `Retry-After` that is honored. A longer one is cut to this. */
const MAX_RETRY_AFTER_MS = 900_000;

/**
 * Returns the `drain` function of a coordinator.
 *
 * @throws {CoordinationError} `unsupported` when it has none, `misconfigured` when it is not a coordinator.
 */
export function drainOf(coordinator: Drainable): Drainable["drain"] {
  const { drain, run } = Object(coordinator) as { readonly drain?: unknown; readonly run?: unknown };
  if (typeof drain === "function") return (options) => coordinator.drain(options);
  if (typeof run !== "function") {
    throw new CoordinationError(
      "misconfigured",
      "coordinator must be a coordinator that can be drained, such as an UpstashCoordinator",
    );
  }
  const why = "its backend wakes records by itself, or is a custom backend that defines no `due`";
  throw new CoordinationError("unsupported", `this coordinator has no drain: ${why}`);
}

/**
 * Runs one drain after another, and decides the pause after each: at most `everyMs`. The pause is shorter when a record
 * comes due before, and zero when due work is left.
 */
export class DrainRounds {
  readonly #options: DrainRoundsOptions;
  readonly #minPauseMs: number;
  /** How many drains in a row woke nothing, though work was expected. */
  #inVain = 0;
  /** Whether the next drain comes early, because a record was expected to come due. */
  #isEarly = false;

  /** @throws {CoordinationError} `invalid_input` for an option out of range. */
  constructor(options: DrainRoundsOptions) {
    const { everyMs, limit, budgetMs } = options;
    checkDrain({ limit, budgetMs });
    checkNumber(everyMs, "everyMs", MIN_EVERY_MS, MAX_EVERY_MS);
    const { minPauseMs = Math.min(DEFAULT_MIN_PAUSE_MS, everyMs) } = options;
    checkNumber(minPauseMs, "minPauseMs", MIN_PAUSE_MS, everyMs);
    this.#options = options;
    this.#minPauseMs = minPauseMs;
  }

  /** The longest possible pause, also after a failure. */
  get longestPauseMs(): number {
    return Math.max(this.#options.everyMs, MAX_RETRY_AFTER_MS);
  }

  /**
   * Drains once. Resolves with the pause before the next drain, in whole milliseconds. Never rejects. `waitUntil`
   * receives the deliveries that are still under way; without it the drain waits for them.
   */
  async drain(
    coordinator: () => Drainable,
    { signal, waitUntil }: Pick<DrainOptions, "signal" | "waitUntil"> = {},
  ): Promise<number> {
    let pauseMs: number;
    try {
      pauseMs = this.#pauseAfter(await this.#drainOnce(coordinator(), { signal, waitUntil }));
    } catch (error) {
      if (!signal?.aborted) emit(this.#options.onEvent, { type: "drain_failed", error });
      pauseMs = this.#pauseAfterFailure(error);
    }
    return Math.ceil(pauseMs);
  }

  #drainOnce(
    coordinator: Drainable,
    { signal, waitUntil }: Pick<DrainOptions, "signal" | "waitUntil">,
  ): Promise<DrainReport> {
    const drain = drainOf(coordinator);
    const { clock, limit, budgetMs } = this.#options;
    const late = (): CoordinationError =>
      new CoordinationError("backend_unavailable", `a drain did not end within ${MAX_DRAIN_MS} ms`, {
        retryable: true,
        applied: "unknown",
      });
    return within({ limitMs: MAX_DRAIN_MS, signal, clock, background: true }, late, (ended) =>
      drain({
        ...(limit === undefined ? {} : { limit }),
        ...(budgetMs === undefined ? {} : { budgetMs }),
        ...(waitUntil === undefined ? {} : { waitUntil }),
        signal: ended,
      }),
    );
  }

  #pauseAfter({ woken, left, nextDueAtMs }: DrainReport): number {
    const isInVain = woken === 0 && (left || this.#isEarly);
    this.#inVain = isInVain ? this.#inVain + 1 : 0;
    this.#isEarly = false;
    // Work that could not be woken now is retried with backoff, not at once.
    if (left) return woken > 0 ? 0 : this.#backoffMs();
    const { everyMs, isShared, random } = this.#options;
    const longestMs = isShared ? everyMs * (1 - SPREAD * random()) : everyMs;
    const untilDueMs = this.#untilDueMs(nextDueAtMs);
    // Early drains find nothing when clocks differ, or when other processes claim first. Each such drain doubles the
    // next pause.
    const pauseMs = Math.max(this.#minPauseMs * 2 ** Math.min(this.#inVain, 30), untilDueMs);
    this.#isEarly = pauseMs < longestMs;
    return Math.min(pauseMs, longestMs);
  }

  /** Returns the time until the instant by this clock, which may differ from the backend's clock. */
  #untilDueMs(dueAtMs: number | undefined): number {
    if (dueAtMs === undefined || !Number.isFinite(dueAtMs)) return Number.POSITIVE_INFINITY;
    const { clock, isShared, random } = this.#options;
    return dueAtMs - clock.now() + SLACK_MS + (isShared ? this.#minPauseMs * random() : 0);
  }

  #pauseAfterFailure(error: unknown): number {
    this.#inVain++;
    this.#isEarly = false;
    const { retryAfterMs = 0 } = error instanceof CoordinationError ? error : {};
    return Math.max(this.#backoffMs(), Math.min(retryAfterMs, MAX_RETRY_AFTER_MS));
  }

  /**
   * Grows from the shortest pause to `everyMs`, which stays the limit: after an outage the promised interval holds
   * again at once.
   */
  #backoffMs(): number {
    const { everyMs, random } = this.#options;
    const policy = { maxAttempts: 1, baseDelayMs: this.#minPauseMs, maxDelayMs: everyMs };
    return Math.max(this.#minPauseMs, fullJitterMs(policy, this.#inVain, random()));
  }
}
