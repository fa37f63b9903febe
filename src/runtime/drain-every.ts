import { CoordinationError } from "../errors.js";
import { type Clock, systemClock } from "../lib/clock.js";
import { isEphemeral } from "../lib/ephemeral.js";
import type { Drainable } from "./backend.js";
import { DrainRounds, drainOf } from "./drain-loop.js";
import type { OnEvent } from "./events.js";
import { hookOrWarning } from "./events.js";

/** How `drainEvery` goes about it. */
export interface DrainEveryOptions {
  /** The longest pause between two drains, in milliseconds: 100 to a day. Default 10,000. Up to a tenth shorter, at random. */
  readonly everyMs?: number | undefined;
  /**
   * The shortest pause between two drains while nothing is left over, in milliseconds: 10 to `everyMs`. Default 1,000, or
   * `everyMs` if that is less. It caps the cost; equal to `everyMs`, it makes the pace even.
   */
  readonly minPauseMs?: number | undefined;
  /** How many records one drain wakes at most: 1 to 10,000. @default 100 */
  readonly limit?: number | undefined;
  /** After how long a drain begins no more records, in milliseconds: 1 to 600,000. @default 10_000 */
  readonly budgetMs?: number | undefined;
  /** Ends everything at once, the drain under way too. Does not end deliveries under way. */
  readonly signal?: AbortSignal | undefined;
  /** Receives the drains that failed; what it throws is ignored. Default: a warning on the console, at most one a minute. */
  readonly onEvent?: OnEvent | undefined;
  /** Default: the system's. */
  readonly clock?: Clock | undefined;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/**
 * Drains a coordinator again and again, for as long as this process lives: for Node servers and workers, where the
 * backend has no timer of its own (Redis, a custom store). Many processes may do it side by side.
 *
 * A record is woken at most `everyMs` after it came due, and the time that one drain takes to claim. Sooner where the last
 * drain saw it coming. Deliveries go on after their drain, and hold up no other: each handler and each webhook host has a share of
 * the places. The first drain comes after a random part of `everyMs`, so that processes which start together do
 * not drain together; the next one at once while something that was due is left. Two never claim at the same time.
 *
 * A drain that fails is told to `onEvent` as `drain_failed` and tried again, after a pause with full jitter that grows to
 * `everyMs`. Nothing is ever thrown later. Its timer keeps no process alive.
 *
 * What it does not promise: anything on platforms that freeze a process between requests (serverless functions). Call
 * `drain` from a schedule there.
 *
 * @returns a function that stops it: no further drain begins. It resolves once the drain and the deliveries under way have
 * ended; those of an abort by `signal` are not waited for.
 * @throws {CoordinationError} `unsupported` for a coordinator that has no `drain`, since its backend rings by itself, and
 * where timers end with the request (Workers, edge functions); `invalid_input` for an option out of range.
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
  const { everyMs = 10_000, signal, clock = systemClock, random = Math.random } = options;
  const onEvent = hookOrWarning(options.onEvent, () => clock.now());
  const rounds = new DrainRounds({ ...options, everyMs, isShared: true, clock, random, onEvent });
  let cancel = (): void => {};
  let underWay: Promise<void> = Promise.resolve();
  /** Deliveries that outlast their drain. */
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
