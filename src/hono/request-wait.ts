import type { Context, MiddlewareHandler, Next } from "hono";
import { Problem } from "../http/problem.js";
import { newOp } from "../lib/ids.js";
import type { AddTasksResult, TaskIds } from "../trackers/request/calls.js";
import type { RequestStatus } from "../trackers/request/status.js";
import type { RequestWaitTracker } from "../trackers/request-wait.js";
import { acceptedAnswer, doneAnswer, isHoldable, keepFromCaches, timeoutAnswer } from "./answer.js";
import { refusal } from "./coordination-errors.js";
import { abandonInTime, answered, endInTime } from "./end-in-time.js";
import type { IdempotentRun } from "./guard.js";
import { withJsonField } from "./json-field.js";
import type { RequestOptions } from "./options.js";
import { keyOf, publicIdOf, recordIdOf, scopeOf } from "./request-id.js";
import { type Settings, settingsOf } from "./settings.js";
import { type Wish, wishOf } from "./wish.js";

/** The value of `c.var.requestWait` in a handler behind `requestWait`. */
export interface RequestWait<S extends string = string> {
  /**
   * The id to put into messages. Workers ack tasks with it, by a plain `RequestWaitTracker`, and need no scope. It is the
   * public id, with the scope in front if there is one.
   */
  readonly id: string;
  /**
   * The id that the client receives: `X-Request-Id`, and the end of `Location`. It is the client's key when that consists of
   * 1 to 128 of the characters `A-Za-z0-9._~=+:-`. Another key becomes `sha256-` and its digest. Without a key it is a UUID.
   */
  readonly publicId: string;
  /** The tracker, for other calls about the request, such as `count(id, …)`. */
  readonly tracker: RequestWaitTracker<S>;
  /**
   * Adds tasks that the response waits for. Call it before the handler returns, and before or after you send their messages.
   *
   * The outcome is `late` when the client sent the id of a request that has already ended. Nothing is added, and the
   * response is that request's result. Send no messages then.
   *
   * @throws {CoordinationError} as `RequestWaitTracker.add` does.
   */
  add(stage: S, taskIds: TaskIds): Promise<AddTasksResult<S>>;
  /** The run of the key, with the option `idempotency` and for a request with a key. */
  readonly idempotency?: IdempotentRun | undefined;
}

/**
 * The type that `requestWait` adds to the environment of the handlers behind it. Where handlers pass their context to your
 * own functions, add it to the application's type: `new Hono<{ Bindings: Env } & RequestWaitEnv<"parse" | "embed">>()`.
 */
export interface RequestWaitEnv<S extends string = string> {
  Variables: { requestWait: RequestWait<S> };
}

/** How long the request's registration may take. */
const REGISTER_MS = 10_000;

/**
 * Returns middleware that lets an HTTP request wait until all work that its handler started is done.
 *
 * The middleware registers the request before the handler runs. The handler adds tasks, sends their messages with
 * `c.var.requestWait.id`, and returns its response, usually a 202. The client then chooses by its headers:
 *
 * - `Prefer: wait=N`, or `?wait=true&timeout=N` (seconds from the request's arrival, capped at `maxWaitMs`): the response is
 *   held back until the request is complete. Then a 202 becomes a 200, and a JSON object gains `queueStatus`. On a timeout:
 *   202 with `Location` and `Retry-After`, or 504 (`onTimeout`).
 * - `Prefer: respond-async`: 202 at once, unless the request is complete by then. With `wait=N`: 202 on a timeout, whatever
 *   `onTimeout` says.
 * - none: the response unchanged; a 202 gains `Location`.
 *
 * Every response carries `X-Request-Id` and `Cache-Control: no-store`. The handler's own caching headers are replaced.
 * Errors, redirects and event streams of the handler are passed on at once. Bodies other than JSON objects up to 1 MB stay
 * unchanged. An unusable `Idempotency-Key` or `X-Request-Id` is answered 400 (see `requestId`).
 *
 * A handler fails when it throws, answers with a status of 400 or more, or returns nothing. The request is then cancelled,
 * so that long polls and event streams end; its `reason` says how the handler failed. The client can send it again with the
 * same key, and the handler runs again. If another copy of the request is still at work, the request goes on.
 *
 * A complete request has no open task; read its errors in `queueStatus`. Does not promise that a handler runs once per
 * request id. A request that is sent again runs it again, so derive the tasks' ids from the input. A backend failure before
 * the handler is an error (503). After the handler it is a 202: the work was accepted.
 *
 * @throws {CoordinationError} `invalid_input` for an option out of range, `misconfigured` at a request whose scope is empty.
 * @see https://www.rfc-editor.org/rfc/rfc7240
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { MemoryCoordinator, RequestWaitTracker } from "edge-coordinator";
 * import { requestStatusRoutes, requestWait } from "edge-coordinator/hono";
 *
 * const coordinator = new MemoryCoordinator();
 * const options = { coordinator, stages: ["parse", "embed"] as const, scope: "public" as const };
 * const worker = new RequestWaitTracker(coordinator, { stages: options.stages });
 *
 * const app = new Hono()
 *   .post("/documents", requestWait(options), async (c) => {
 *     const { id, add } = c.var.requestWait;
 *     await add("parse", "document-1");
 *     queueMicrotask(() => worker.ack(id, "parse", "document-1")); // or a queue
 *     return c.json({ document: "document-1" }, 202);
 *   })
 *   .route("/requests", requestStatusRoutes(options));
 * ```
 */
export function requestWait<const S extends string>(options: RequestOptions<S>): MiddlewareHandler<RequestWaitEnv<S>> {
  const settings = settingsOf(options);
  return async function requestWait(c, next) {
    const arrivedAtMs = settings.clock.now();
    try {
      const asked = await identified(c, settings);
      const isAnswered = await answeredOnce(asked, next);
      // Reading `c.res` would make an empty 200. Without it, Hono throws an error that names the missing `return`.
      if (!c.finalized) return undefined;
      const isHeld = isAnswered && c.error === undefined && isHoldable(c.res);
      if (isHeld) await hold(asked, arrivedAtMs);
      else if (isAnswered && isGuarded(asked) && c.res.status < 400) await endOf(asked, 0, 0);
      c.header("X-Request-Id", asked.publicId);
      keepFromCaches(c);
      if (isHeld && c.req.method === "GET") c.header("Vary", "Prefer", { append: true });
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return refusal(c, error);
      throw error;
    }
  };
}

/** A request with its ids, before it is registered. */
interface Asked<S extends string> {
  readonly c: Context;
  readonly settings: Settings<S>;
  /** The key of the client. */
  readonly key: string | undefined;
  readonly publicId: string;
  /** The record's id. */
  readonly id: string;
  readonly tracker: RequestWaitTracker<S>;
  readonly location: string;
  /** Names this registration. */
  readonly caller: string;
}

async function identified<S extends string>(c: Context, settings: Settings<S>): Promise<Asked<S>> {
  const key = keyOf(c, settings);
  const publicId = await publicIdOf(key);
  // Set before the handler too, for the response of an error handler.
  c.header("X-Request-Id", publicId);
  c.header("Cache-Control", "no-store");
  const location = `${settings.statusPathOf(c)}/${encodeURIComponent(publicId)}`;
  const id = await recordIdOf(c, settings.scope, publicId);
  return { c, settings, key, publicId, id, tracker: settings.trackerOf(c), location, caller: newOp() };
}

/**
 * Runs the handler, unless its key has been used. Returns whether `c.res` is a handler's response: of this handler, or of an
 * earlier one with the same key.
 */
async function answeredOnce<S extends string>(asked: Asked<S>, next: Next): Promise<boolean> {
  const { c, settings, key, location } = asked;
  const { guard, onEvent, scope } = settings;
  if (guard === undefined || scope === "public" || (key === undefined && !guard.isRequired)) {
    return handled(asked, next);
  }
  if (key === undefined) {
    guard.refuseKeyless(c);
    return false;
  }
  const handle = (run: IdempotentRun): Promise<boolean> => handled(asked, next, run);
  const keyed = { coordinator: settings.coordinatorOf(c), key, owner: scopeOf(c, scope), location, onEvent, handle };
  return (await guard.run(c, keyed)) !== "refused";
}

/** Whether the handler of the key runs once. Its request is sealed in any case: the seal says that the handler has answered. */
function isGuarded<S extends string>({ settings, key }: Asked<S>): boolean {
  return settings.guard !== undefined && key !== undefined;
}

/**
 * Registers the request, and runs the handler. Cancels the request of a handler that fails. Returns false when the handler of
 * the key has answered before: the request is sealed. The handler does not run then.
 */
async function handled<S extends string>(asked: Asked<S>, next: Next, idempotency?: IdempotentRun): Promise<boolean> {
  const { c, id, publicId, tracker } = asked;
  const { sealed, final } = await register(asked);
  if (idempotency !== undefined && (sealed || final)) return false;
  const add: RequestWait<S>["add"] = (stage, taskIds) => tracker.add(id, stage, taskIds);
  c.set("requestWait", { id, publicId, tracker, add, idempotency });
  try {
    await next();
  } catch (error) {
    // No error handler runs between the handler and this middleware.
    await abandon(asked, "the handler failed");
    throw error;
  }
  if (!c.finalized) await abandon(asked, "the handler returned no response");
  else if (c.error !== undefined || c.res.status >= 400) {
    await abandon(asked, `the handler answered with status ${c.res.status}`);
  }
  return true;
}

/** Registers the request before the handler runs. An ack that arrives before its task is added then has a record. */
function register<S extends string>({ c, settings, id, tracker, caller }: Asked<S>): Promise<RequestStatus<S>> {
  const { clock, timeoutSec } = settings;
  return answered({ limitMs: REGISTER_MS, signal: c.req.raw.signal, clock }, () =>
    tracker.register(id, { caller, timeoutSec, traceparent: c.req.header("traceparent") }),
  );
}

/** Cancels the request of a handler that has failed. */
function abandon<S extends string>({ settings, tracker, id, caller }: Asked<S>, message: string): Promise<void> {
  const { clock, onEvent } = settings;
  return abandonInTime({ tracker, id, caller, message, clock, onEvent });
}

/** Holds the handler's response back as long as the client asked for, then replaces it by the result. */
async function hold<S extends string>(asked: Asked<S>, arrivedAtMs: number): Promise<void> {
  const { c, settings, location } = asked;
  const { clock, maxWaitMs } = settings;
  const wish = wishOf(c, maxWaitMs);
  const isAsked = wish.respondAsync || wish.waitMs !== undefined;
  // The client neither waits nor receives a 202, so the response stays as it is.
  if (!isAsked && c.res.status !== 202 && !isGuarded(asked)) return;
  const tookMs = clock.now() - arrivedAtMs;
  const waitMs = Math.max(0, (wish.waitMs ?? 0) - tookMs);
  const end = await endOf(asked, waitMs, maxWaitMs - tookMs);
  if (!isAsked) {
    if (c.res.status === 202 && !c.res.headers.has("location")) c.header("Location", location);
    return;
  }
  const answer = await answerOf(c.res, asked, wish, end);
  // Otherwise Hono would add the old headers again.
  c.res = undefined;
  c.res = answer;
  if (wish.respondAsync && answer.status === 202) c.header("Preference-Applied", "respond-async", { append: true });
  if (wish.waitApplied !== undefined) c.header("Preference-Applied", wish.waitApplied, { append: true });
}

/** Seals the request, and waits for its end. */
function endOf<S extends string>(asked: Asked<S>, waitMs: number, leftMs: number): Promise<RequestStatus<S> | null> {
  const { c, settings, tracker, id } = asked;
  const { clock, onEvent } = settings;
  return endInTime({ tracker, id, waitMs, leftMs, signal: c.req.raw.signal, clock, onEvent });
}

/** Returns the response for a request that is complete (`end`), or still pending (null). */
function answerOf<S extends string>(
  response: Response,
  { settings, location }: Asked<S>,
  wish: Wish,
  end: RequestStatus<S> | null,
): Response | Promise<Response> {
  const { queueStatusField, isTimeoutAccepted, clock } = settings;
  if (end !== null) {
    const done = doneAnswer(response);
    return queueStatusField === false ? done : withJsonField(done, queueStatusField, end.stages, clock);
  }
  return isTimeoutAccepted || wish.respondAsync
    ? acceptedAnswer(response, location)
    : timeoutAnswer(response, location);
}
