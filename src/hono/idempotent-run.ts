import type { Context } from "hono";
import { CoordinationError } from "../errors.js";
import { systemClock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";
import { emit } from "../runtime/events.js";
import { type DedupeOutcome, type RunSettings, runOnce } from "../trackers/run-once.js";
import { smallId } from "../trackers/small-key.js";
import { faultOf, ofContext } from "./coordination-errors.js";
import type { Guard, IdempotentRun, KeyedRequest } from "./guard.js";
import { refuse } from "./idempotency-problems.js";
import { copied, isKept, replayed } from "./stored-response.js";

/** The checked options of idempotent handlers. */
export interface GuardSettings {
  readonly isRequired: boolean;
  readonly run: RunSettings;
  /** The header fields that are replayed. */
  readonly names: readonly string[];
  readonly store: ((response: Response) => boolean) | undefined;
  /** Identifies the request. */
  fingerprint(c: Context): string | Promise<string>;
}

/** The namespace of the records: `new DedupeWindow(coordinator, { namespace: "idempotency" })` has the same keys. */
const NAMESPACE = "idempotency";
/** How long the backend has to begin the run. */
const BEGIN_MS = 10_000;
/** A response whose body takes longer to read does not wait until it is kept: it may be a stream. */
const READ_SOON_MS = 50;
/** How long a response waits until it is kept. A duplicate that comes after it then gets the same one. */
const KEEP_MS = 1_000;

/** Frees the key of a response that is not kept. */
const NOT_KEPT = new Error("the response is not kept");

export function guardOf(settings: GuardSettings): Guard {
  return {
    isRequired: settings.isRequired,
    ttlMs: settings.run.windowMs,
    refuseKeyless: (c) => refuse(c, "malformed"),
    run: (c, request) => guarded(c, settings, request),
  };
}

/** A handler that is done. */
interface Handled {
  /** Settles when the response is copied, with the copy. */
  readonly stored?: Promise<unknown>;
  readonly thrown?: { readonly error: unknown };
  /** The work was done before. */
  readonly isKnown?: true;
}

async function guarded(c: Context, settings: GuardSettings, request: KeyedRequest): ReturnType<Guard["run"]> {
  const { coordinator, owner, key, onEvent, location } = request;
  const fingerprint = await settings.fingerprint(c);
  const id = await smallId(NAMESPACE, [owner, key]);
  const { signal: client } = c.req.raw;
  const beginning = beginWithin(BEGIN_MS + settings.run.waitMs, client);
  let setHandled: (handled: Handled) => void;
  const isHandled = new Promise<Handled>((resolve) => {
    setHandled = resolve;
  });
  const run = runOnce(
    { coordinator, id, key: [owner, key], onEvent },
    { ...settings.run, fingerprint, signal: beginning.signal },
    async ({ signal, fencingToken }) => {
      beginning.end();
      const handled = await handle(c, settings, request, { key, signal, fencingToken });
      setHandled(handled);
      if (handled.thrown !== undefined) throw handled.thrown.error;
      return handled.stored;
    },
  ).finally(beginning.end);
  const settled = run.then((outcome) => reported(outcome, request)).catch((error: unknown) => ({ error }));
  goOn(c, settled);
  const first = await Promise.race([isHandled, settled]);
  if ("outcome" in first) return answer(c, first, location);
  if ("error" in first) {
    throw first.error instanceof CoordinationError && !client.aborted ? faultOf(first.error) : first.error;
  }
  if (await isInTime(READ_SOON_MS, first.stored)) await isInTime(KEEP_MS, settled);
  if (first.isKnown) return answer(c, { outcome: "replayed", kept: false }, location);
  if (first.thrown !== undefined && first.thrown.error !== NOT_KEPT) throw first.thrown.error;
  return "ran";
}

/** Runs the handler, and copies its response. Never rejects. */
async function handle(
  c: Context,
  settings: GuardSettings,
  { handle, onEvent }: KeyedRequest,
  run: IdempotentRun,
): Promise<Handled> {
  try {
    if (!(await handle(run))) return { isKnown: true };
    if (c.error !== undefined || !c.finalized) return { thrown: { error: NOT_KEPT } };
    if (!isStored(c.res, settings, onEvent)) return { thrown: { error: NOT_KEPT } };
    const { response, stored } = copied(c.res, settings.names);
    // Otherwise Hono would add the old headers again.
    c.res = undefined;
    c.res = response;
    return { stored };
  } catch (error) {
    return { thrown: { error } };
  }
}

/** Work that was done is not run again because the application's rule fails: the default rule decides then. */
function isStored(response: Response, { store }: GuardSettings, onEvent: KeyedRequest["onEvent"]): boolean {
  try {
    if (store !== undefined) return store(response) === true;
  } catch (error) {
    emit(onEvent, { type: "followup_failed", transition: "dedupe.finish", id: "store", error });
  }
  return isKept(response.status);
}

function reported(outcome: DedupeOutcome<unknown>, { owner, key, onEvent }: KeyedRequest): DedupeOutcome<unknown> {
  if (outcome.outcome === "lost") {
    const error = new CoordinationError("conflict", "the lease was lost: another call has the key");
    emit(onEvent, { type: "followup_failed", transition: "dedupe.finish", id: JSON.stringify([owner, key]), error });
  }
  return outcome;
}

/** Answers a request whose handler did not run. */
function answer(c: Context, result: DedupeOutcome<unknown>, location: string | undefined): "replayed" | "refused" {
  const response = result.outcome === "replayed" ? replayed(result.value) : undefined;
  if (response !== undefined) {
    ofContext(c, response);
    return "replayed";
  }
  if (result.outcome === "mismatch") refuse(c, "mismatch");
  else refuse(c, result.outcome === "in_progress" ? "in_progress" : "result_not_kept", location);
  return "refused";
}

/**
 * Ends the attempt to begin after its time, and when the client disconnects. So no handler runs for a body that its client has
 * cut short.
 */
function beginWithin(limitMs: number, client: AbortSignal): { readonly signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const leave = (): void => controller.abort(client.reason);
  const late = (): void => {
    const message = `the backend did not answer within ${limitMs} ms`;
    controller.abort(new CoordinationError("backend_unavailable", message, { retryable: true }));
  };
  const cancel = systemClock.setTimer(late, limitMs);
  client.addEventListener("abort", leave, { once: true });
  if (client.aborted) leave();
  const end = (): void => {
    cancel();
    client.removeEventListener("abort", leave);
  };
  return { signal: controller.signal, end };
}

/** Keeps a Worker alive until the run is settled, also after its client has disconnected. */
function goOn(c: Context, work: Promise<unknown>): void {
  try {
    c.executionCtx.waitUntil(work);
  } catch {
    // Other platforms have no such context, and go on by themselves.
  }
}

/** Returns whether the work settles in time. */
async function isInTime(limitMs: number, work: Promise<unknown> | undefined): Promise<boolean> {
  const late = {};
  const limit = { limitMs, signal: undefined, clock: systemClock };
  const end = await within(
    limit,
    () => late,
    () => work,
  ).catch((error: unknown) => error);
  return end !== late;
}
