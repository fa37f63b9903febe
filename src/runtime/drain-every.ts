import { CoordinationError } from "../errors.js";
import { type Clock, systemClock } from "../lib/clock.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { isEphemeral } from "../lib/ephemeral.js";
import type { Drainable } from "./backend.js";
import { DrainRounds, drainOf } from "./drain-loop.js";
import type { OnEvent } from "./events.js";
import { hookOrWarning } from "./events.js";

/** Options of `drainEvery`. */
export interface DrainEveryOptions {
  /**
   * The longest pause between two drains, in milliseconds: 100 to a day. A random part of up to a tenth is subtracted.
   *
   * @default 10_000
   */
  readonly everyMs?: Duration | undefined;
  /**
   * The shortest pause between two drains while no due work is left, in milliseconds: 10 to `everyMs`. Default 1,000,
   * or `everyMs` if that is less. It limits the cost. Set it to `everyMs` for a fixed interval.
   */
  readonly minPauseMs?: Duration | undefined;
  /** How many records one drain wakes at most: 1 to 10,000. @default 100 */
  readonly limit?: number | undefined;
  /** After how long a drain begins no more records, in milliseconds: 1 to 600,000. @default 10_000 */
  readonly budgetMs?: Duration | undefined;
  /** Stops at once and ends the drain under way. Does not end deliveries under way. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Receives the drains that failed. Errors that it throws are ignored. Default: a warning on the console, at most one
   * a minute.
   */
  readonly onEvent?: OnEvent | undefined;
  /** Default: the system clock. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/**
 * Drains a coordinator repeatedly, for as long as this process lives. For Node servers and workers on a backend without
 * timers (Redis, a custom store). Many processes may run it at the same time.
 *
 * A record wakes at most `everyMs` after it came due, plus the time that one drain takes to claim. It wakes sooner when
 * the last drain saw its due time. Deliveries continue after their drain and do not delay the next one: each handler
 * and each webhook host has a share of the work pool. The first drain comes after a random part of `everyMs`, so that
 * processes that start together do not drain together. The next drain follows at once while due work is left. The
 * drains of one `drainEvery` never overlap.
 *
 * A failed drain is reported to `onEvent` as `drain_failed`. It is retried after a pause with full jitter that grows to
 * `everyMs`. Nothing is thrown after this function has returned. The timer is unref'd: it does not keep the process
 * alive.
 *
 * Does not work on platforms that freeze a process between requests (serverless functions). Call `drain` from a
 * schedule there.
 *
 * @returns a function that stops it: no further drain begins. It resolves once the drain and the deliveries under way
 * have ended. After an abort by `signal` it does not wait for deliveries.
 * @throws {CoordinationError} `unsupported` for a coordinator without `drain`, whose backend wakes its records by
 * itself. `unsupported` also where timers end with the request (Workers, edge functions). `invalid_input` for an option
 * out of range.
 * @example
 * ```ts
 * import { CompletionTracker, drainEvery } from "edge-coordinator";
 * import { UpstashCoordinator } from "edge-coordinator/upstash";
 *
 * const coordinator = new UpstashCoordinator({ url, token });
 * new CompletionTracker(coordinator, { handlers: { publish: () => {} } }); // the handlers of all groups
 * const stop = drainEvery(coordinator, { everyMs: 10_000 });
 * process.once("SIGTERM", () => void stop());
 * ```
 */
export function drainEvery(coordinator: Drainable, options: DrainEveryOptions = {}): () => Promise<void> {
  drainOf(coordinator);
  if (isEphemeral()) {
    throw new CoordinationError(
      "unsupported",
      "timers end with the request here: use an AlarmClock, or call drain from a schedule",
    );
  }
  const { limit, signal, clock = systemClock, random = Math.random } = options;
  const everyMs = inMillis(options.everyMs, "everyMs") ?? 10_000;
  const minPauseMs = inMillis(options.minPauseMs, "minPauseMs");
  const budgetMs = inMillis(options.budgetMs, "budgetMs");
  const onEvent = hookOrWarning(options.onEvent, () => clock.now());
  const rounds = new DrainRounds({ limit, everyMs, minPauseMs, budgetMs, isShared: true, clock, random, onEvent });
  let cancel = (): void => {};
  let underWay: Promise<void> = Promise.resolve();
  /** Deliveries that continue after their drain. */
  const deliveries = new Set<Promise<unknown>>();
  const waitUntil = (work: Promise<unknown>): void => {
    deliveries.add(work);
    const end = (): void => void deliveries.delete(work);
    work.then(end, end);
  };
  let isStopped = false;
  const stop = async (): Promise<void> => {
    isStopped = true;
    cancel();
    signal?.removeEventListener("abort", stop);
    await underWay;
    if (!signal?.aborted) await Promise.allSettled(deliveries);
  };
  const plan = (pauseMs: number): void => {
    if (isStopped) return;
    const begin = (): void => {
      underWay = rounds.drain(() => coordinator, { signal, waitUntil }).then(plan);
    };
    cancel = clock.setTimer(begin, pauseMs, { background: true });
  };
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) void stop();
  plan(everyMs * random());
  return stop;
}
