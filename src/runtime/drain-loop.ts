import { CoordinationError } from "../errors.js";
import { fullJitterMs } from "../lib/backoff.js";
import type { Clock } from "../lib/clock.js";
import { checkNumber } from "../lib/validate.js";
import type { Drainable } from "./backend.js";
import { checkDrain, type DrainOptions, type DrainReport } from "./backend.js";
import { within } from "./deadline.js";
import { emit, type OnEvent } from "./events.js";

/** How a series of drains is paced. */
export interface DrainRoundsOptions {
  /** The longest pause between two drains, in milliseconds. 100 to a day. */
  readonly everyMs: number;
  /** The shortest pause while nothing is left over, in milliseconds. 10 to `everyMs`. Default 1,000, or `everyMs` if less. */
  readonly minPauseMs?: number | undefined;
  readonly limit?: number | undefined;
  readonly budgetMs?: number | undefined;
  /** Whether others drain the same queue at this pace: they are kept from doing it all at once. */
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
/** A drain that lasts longer is left to itself: platforms end an alarm, as an invocation, after 15 minutes. */
const MAX_DRAIN_MS = 840_000;
/** By which part of itself a shared interval is shortened at most. */
const SPREAD = 0.1;
/** How long after its instant a record is looked for: a clock that is a little ahead would look in vain. */
const SLACK_MS = 50;
/** A longer wish of the server's for patience is cut to this. */
const MAX_RETRY_AFTER_MS = 900_000;

/**
 * Returns the drain of a coordinator.
 *
 * @throws {CoordinationError} `unsupported` when it has none, `misconfigured` when it is no coordinator.
 */
export function drainOf(coordinator: Drainable): Drainable["drain"] {
  const { drain, run } = Object(coordinator) as { readonly drain?: unknown; readonly run?: unknown };
  if (typeof drain === "function") return (options) => coordinator.drain(options);
  if (typeof run !== "function") {
    throw new CoordinationError("misconfigured", "what is to be drained must be a coordinator");
  }
  const why = "its backend rings by itself, or is a custom one that does not say what is due";
  throw new CoordinationError("unsupported", `this coordinator has no drain: ${why}`);
}

/**
 * One drain after another: says after each of them when to look again. `everyMs` after it at latest; sooner when a record
 * comes due before; at once when something that was due is left.
 */
export class DrainRounds {
  readonly #options: DrainRoundsOptions;
  readonly #minPauseMs: number;
  /** How often in a row nothing was woken though something should have been. */
  #inVain = 0;
  /** Whether this look comes early, for a record's sake. */
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

  /** No pause is longer, after a failure neither. */
  get longestPauseMs(): number {
    return Math.max(this.#options.everyMs, MAX_RETRY_AFTER_MS);
  }

  /**
   * Drains once, and resolves with the pause before the next time, in whole milliseconds. Never rejects. `waitUntil` takes the
   * deliveries that are under way then; without it they are waited for.
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
    // What is left and could not be woken now cannot be woken in a millisecond either.
    if (left) return woken > 0 ? 0 : this.#backoffMs();
    const { everyMs, isShared, random } = this.#options;
    const longestMs = isShared ? everyMs * (1 - SPREAD * random()) : everyMs;
    const untilDueMs = this.#untilDueMs(nextDueAtMs);
    // Where the clocks disagree, or others come first, early looks find nothing: each time the next one waits longer.
    const pauseMs = Math.max(this.#minPauseMs * 2 ** Math.min(this.#inVain, 30), untilDueMs);
    this.#isEarly = pauseMs < longestMs;
    return Math.min(pauseMs, longestMs);
  }

  /** By this clock, which may be another one than that of the instant. */
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

  /** Grows from the shortest pause to the longest: after an outage the bound holds again at once. */
  #backoffMs(): number {
    const { everyMs, random } = this.#options;
    const policy = { maxAttempts: 1, baseDelayMs: this.#minPauseMs, maxDelayMs: everyMs };
    return Math.max(this.#minPauseMs, fullJitterMs(policy, this.#inVain, random()));
  }
}
