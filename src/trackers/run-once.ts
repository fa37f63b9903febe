import type { Coordinator } from "../coordinator.js";
import type { BeginOutput } from "../core/dedupe.js";
import { CoordinationError } from "../errors.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { newOp } from "../lib/ids.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkNumber, checkText, checkTtlSec, isText } from "../lib/validate.js";
import type { WatchOptions } from "../runtime/backend.js";
import { emit, type OnEvent } from "../runtime/events.js";
import type { CallOptions } from "./call-options.js";
import { MAX_WAIT_MS } from "./end-or-look.js";
import { briefly, checkLeaseSec, type Lease, monotonicMs, whileHeld } from "./held-lease.js";
import { keyText } from "./small-key.js";

/** Options of `DedupeWindow.run`. */
export interface RunOnceOptions extends CallOptions {
  /**
   * Identifies the request behind the key, such as a digest of its body: up to 256 bytes. A call with another fingerprint,
   * or without one, gets `mismatch`.
   */
  readonly fingerprint?: string | undefined;
  /**
   * How long the key is held without a renewal while the work runs, in seconds: 1 to 86,400. After a crash the key is free
   * again when this time is over.
   *
   * @default 30
   */
  readonly leaseSec?: Duration | undefined;
  /** How long the result is kept, in seconds. Default: the `windowSec` of the constructor, else 86,400. */
  readonly windowSec?: Duration | undefined;
  /**
   * Decides what a duplicate does while the first call works. `"skip"`: it returns `in_progress`. `"wait"`: it waits for the
   * result.
   *
   * @default "skip"
   */
  readonly onInFlight?: "skip" | "wait" | undefined;
  /** How long a duplicate waits, in milliseconds: 0 to a day. @default 25_000 */
  readonly waitMs?: Duration | undefined;
}

/** The argument of the work of `DedupeWindow.run`. */
export interface RunContext {
  /** Aborts when the lease is lost, and when the caller's signal aborts. */
  readonly signal: AbortSignal;
  /** Grows with every run of the key. A store that keeps the highest number can refuse writes of earlier runs. */
  readonly fencingToken: number;
}

/** The result of `DedupeWindow.run`. */
export type DedupeOutcome<Value> =
  /** This call did the work. `kept`: duplicates get the value; else they get none, or may run the work again. */
  | { readonly outcome: "ran"; readonly value: Value; readonly kept: boolean }
  /** This call did the work, but its lease ended before, and another call has the key. */
  | { readonly outcome: "lost"; readonly value: Value; readonly kept: false }
  /** Another call did the work. Its value, as JSON keeps it. */
  | { readonly outcome: "replayed"; readonly value: Value; readonly kept: true }
  /** Another call did the work. Its value was not kept. */
  | { readonly outcome: "replayed"; readonly value?: undefined; readonly kept: false }
  /** Another call does the work, or has claimed the key. `retryAfterMs`: when its lease or claim ends. */
  | { readonly outcome: "in_progress"; readonly retryAfterMs: number }
  /** The key was used with another fingerprint. */
  | { readonly outcome: "mismatch" };

const OPTIONS: Names<RunOnceOptions> = {
  fingerprint: true,
  leaseSec: true,
  windowSec: true,
  onInFlight: true,
  waitMs: true,
  signal: true,
};

/** The longest fingerprint of a run, in bytes of UTF-8. */
export const MAX_FINGERPRINT_BYTES = 256;
/** The largest value of `DedupeWindow.run` that is kept, in bytes of JSON. */
const MAX_RETURNED_BYTES = 16_384;
/**
 * The largest value that a record keeps, in bytes of JSON: a response whose body has 64 KB, in base64, with its headers.
 * Backends store it in one row or field. It fits into a request to the Worker (256 KB).
 */
export const MAX_RUN_VALUE_BYTES = 98_304;
const DEFAULT_WAIT_MS = 25_000;
const DEFAULT_WINDOW_SEC = 86_400;
/** When to try again where the holder does not say how long it holds the key. */
const UNKNOWN_END_MS = 1_000;

/** The key of a run, and where its record is. */
export interface RunPlace {
  readonly coordinator: Coordinator;
  readonly id: string;
  readonly key: string | readonly string[];
  readonly onEvent: OnEvent | undefined;
}

/** The options of a run, checked. */
export interface RunSettings {
  readonly fingerprint: string | undefined;
  readonly leaseMs: number;
  readonly windowMs: number;
  /** 0: a duplicate does not wait. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** The largest value that is kept, in bytes of JSON: up to `MAX_RUN_VALUE_BYTES`. */
  readonly maxValueBytes: number;
}

/** @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. */
export function checkRun(options: RunOnceOptions, ownWindowMs: number | undefined): RunSettings {
  checkOptions(options, OPTIONS);
  const { fingerprint, onInFlight = "skip", signal } = options;
  const leaseSec = checkLeaseSec(options.leaseSec);
  const waitMs = inMillis(options.waitMs, "waitMs") ?? DEFAULT_WAIT_MS;
  if (fingerprint !== undefined) checkText(fingerprint, "fingerprint", MAX_FINGERPRINT_BYTES);
  checkNumber(waitMs, "waitMs", 0, MAX_WAIT_MS);
  if (onInFlight !== "skip" && onInFlight !== "wait") {
    throw new CoordinationError("invalid_input", 'onInFlight must be "skip" or "wait"');
  }
  const windowMs =
    options.windowSec === undefined
      ? (ownWindowMs ?? DEFAULT_WINDOW_SEC * 1000)
      : checkTtlSec(options.windowSec, "windowSec");
  return {
    fingerprint,
    leaseMs: Math.round(leaseSec * 1000),
    windowMs,
    waitMs: onInFlight === "wait" ? waitMs : 0,
    signal,
    maxValueBytes: MAX_RETURNED_BYTES,
  };
}

/** Runs the work under a lease, unless another call does it or has done it. See `DedupeWindow.run`. */
export async function runOnce<Value>(
  place: RunPlace,
  settings: RunSettings,
  fn: (context: RunContext) => Value | Promise<Value>,
): Promise<DedupeOutcome<Value>> {
  const endsAtMs = monotonicMs() + settings.waitMs;
  for (;;) {
    const [op, sentAtMs] = [newOp(), monotonicMs()];
    const begun = await begin(place, settings, op);
    if (begun.outcome === "begun") {
      const run = { op, untilMs: sentAtMs + settings.leaseMs, fencingToken: begun.token ?? 0 };
      return work(place, { ...settings, ...run }, fn);
    }
    if (begun.outcome === "mismatch") return { outcome: "mismatch" };
    if (begun.outcome === "done") return replayed(begun.value);
    const { retryAfterMs = UNKNOWN_END_MS } = begun;
    const timeoutMs = endsAtMs - monotonicMs();
    if (timeoutMs <= 0) return { outcome: "in_progress", retryAfterMs };
    const isSettled = begun.outcome === "over" || (await settled(place, { timeoutMs, signal: settings.signal }));
    // The holder has renewed its lease meanwhile.
    if (!isSettled) return { outcome: "in_progress", retryAfterMs: UNKNOWN_END_MS };
  }
}

/** Begins the run. When the answer is lost, frees the key, so that the next call need not wait for the lease. */
async function begin(place: RunPlace, settings: RunSettings, op: string): Promise<BeginOutput> {
  const { coordinator, id } = place;
  const { leaseMs, windowMs, fingerprint, signal } = settings;
  const input = { op, leaseMs, windowMs, ...(fingerprint === undefined ? {} : { fingerprint }) };
  try {
    return await coordinator.run("dedupe.begin", id, input, { signal });
  } catch (error) {
    const isUnsent = error instanceof CoordinationError && error.applied === "no";
    const freed = isUnsent ? undefined : fail(place, op);
    // A caller that aborts does not wait for it.
    if (freed !== undefined && signal?.aborted !== true) await briefly(freed);
    throw error;
  }
}

/** Waits until no call holds the key, or its run is done. Returns false when the time is over before. */
async function settled({ coordinator, id }: RunPlace, options: WatchOptions): Promise<boolean> {
  try {
    return (await coordinator.watch("dedupe.wait", id, {}, options)).ready;
  } catch (error) {
    if (error instanceof CoordinationError && error.code === "wait_timeout") return false;
    throw error;
  }
}

interface Run extends RunSettings {
  readonly op: string;
  readonly untilMs: number;
  readonly fencingToken: number;
}

async function work<Value>(
  place: RunPlace,
  run: Run,
  fn: (context: RunContext) => Value | Promise<Value>,
): Promise<DedupeOutcome<Value>> {
  const { coordinator, id } = place;
  const { op, leaseMs, windowMs, untilMs, fencingToken } = run;
  const renew = async (signal: AbortSignal): Promise<boolean> =>
    (await coordinator.run("dedupe.renew", id, { op, leaseMs, windowMs }, { signal })).held;
  let isTold = false;
  const onLost: Lease["onLost"] = (reason) => {
    isTold = true;
    emit(place.onEvent, { type: "lease_lost", machine: "dedupe", id: keyText(place.key), reason });
  };
  let value: Value;
  try {
    const lease = { leaseMs, untilMs, signal: run.signal, renew, onLost };
    value = await whileHeld(lease, (signal) => fn({ signal, fencingToken }));
  } catch (error) {
    await briefly(fail(place, op));
    throw error;
  }
  const outcome = await finish(place, run, value);
  if (outcome.outcome === "lost" && !isTold) onLost("taken");
  return outcome;
}

/** Keeps the result. Work that was done is not reported as failed. */
async function finish<Value>(place: RunPlace, run: Run, value: Value): Promise<DedupeOutcome<Value>> {
  const { op, windowMs, maxValueBytes } = run;
  const text = textOf(value, maxValueBytes);
  const end = (kept: { value?: string }) => place.coordinator.run("dedupe.finish", place.id, { op, windowMs, ...kept });
  let isKept = text !== undefined;
  try {
    const { held } = await end(text === undefined ? {} : { value: text }).catch((error: unknown) => {
      // A store, or a Worker of an earlier version, refuses a value of this size: the key is done without it.
      if (text === undefined || !isRefused(error)) throw error;
      report(place, "dedupe.finish", error);
      isKept = false;
      return end({});
    });
    return held ? { outcome: "ran", value, kept: isKept } : { outcome: "lost", value, kept: false };
  } catch (error) {
    report(place, "dedupe.finish", error);
    return { outcome: "ran", value, kept: false };
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof CoordinationError && !error.retryable && error.applied === "no";
}

/** When this fails, the key is free when its lease ends. */
async function fail(place: RunPlace, op: string): Promise<void> {
  try {
    await place.coordinator.run("dedupe.fail", place.id, { op });
  } catch (error) {
    report(place, "dedupe.fail", error);
  }
}

function report({ key, onEvent }: RunPlace, transition: "dedupe.finish" | "dedupe.fail", error: unknown): void {
  emit(onEvent, { type: "followup_failed", transition, id: keyText(key), error });
}

/** Returns the value as JSON text; "" for undefined; `undefined` for a value that cannot be kept. */
function textOf(value: unknown, maxBytes: number): string | undefined {
  if (value === undefined) return "";
  try {
    const text: string | undefined = JSON.stringify(value);
    return isText(text, maxBytes) ? text : undefined;
  } catch {
    // A cycle or a BigInt.
    return undefined;
  }
}

function replayed<Value>(text: string | undefined): DedupeOutcome<Value> {
  if (text === undefined) return { outcome: "replayed", kept: false };
  return { outcome: "replayed", value: (text === "" ? undefined : JSON.parse(text)) as Value, kept: true };
}
