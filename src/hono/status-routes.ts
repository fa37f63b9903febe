import { type Context, Hono } from "hono";
import { CoordinationError } from "../errors.js";
import { Problem } from "../http/problem.js";
import { emit } from "../runtime/events.js";
import type { RequestProgress, RequestWaitTracker } from "../trackers/request-wait.js";
import { RETRY_AFTER_SEC } from "./answer.js";
import { refusal, withOwnErrors } from "./coordination-errors.js";
import { answered } from "./end-in-time.js";
import type { RequestOptions } from "./options.js";
import { progressStream, retryText, unknownAgain } from "./progress-stream.js";
import { publicIdIn, recordIdOf } from "./request-id.js";
import { type Settings, settingsOf } from "./settings.js";
import { wishOf } from "./wish.js";

/** A request whose status a client reads. */
interface Asked<S extends string> {
  readonly tracker: RequestWaitTracker<S>;
  /** The record's id. */
  readonly id: string;
  readonly publicId: string;
}

/** The name of the path's parameter. A common name would hide a parameter of the application's own path. */
const PARAM = "edgeCoordinatorRequestId";

/** How long one read may take. */
const LOOK_MS = 10_000;
/** How long a wait may exceed its timeout, when a message announced the end and the read was late. */
const LATE_LOOK_MS = 2_000;
const EVENTS_HEADERS = {
  "content-type": "text/event-stream",
  // Compression and buffering proxies would delay events.
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
};
const NO_STORE = { "cache-control": "no-store" };

/**
 * Returns routes for the status of requests. Mount them at `statusPath`, with the options of `requestWait`.
 *
 * - `GET /:id`: `{ id, state: "pending" | "complete", queueStatus }`. 404 for an unknown request, or one of another scope.
 *   `Prefer: wait=N`, or `?wait=true&timeout=N`, waits for the end, at most `maxWaitMs`. Then 200 with the current state,
 *   and `Retry-After` while it is pending. A slow backend has 2 s more.
 * - `GET /:id/events`: server-sent events, for `EventSource`. `progress` with `{ state, open, queueStatus }` reports changes
 *   at most a second later, several at a time. A last `complete` comes at once. Their `id` is a version: with
 *   `Last-Event-ID` a client continues after its last event. A stream ends after `maxStreamMs`, and the client reconnects. A
 *   client that has received `complete` gets a 204, at which an `EventSource` stops.
 *
 * An error status closes an `EventSource` for good. So a client that accepts `text/event-stream` gets a stream instead:
 *
 * - for a passing error, one that only says when to connect again;
 * - for an unknown request, an event `unknown` with `{ state: "unknown" }`. The client connects again five times, for half
 *   a minute, and finds a request that is registered meanwhile. Then the answer is 404.
 *
 * Other clients get the problem at once. An error that a proxy answers still closes an `EventSource`: make a new one when
 * its `readyState` is `CLOSED`. The streams pass through Hono's own middleware, such as `etag` and `compress`. Do not put
 * middleware in front of them that reads a response to its end.
 *
 * The routes write nothing, and no cache stores their answers. Every client that can call them reads the requests of its
 * `scope`, so put your authentication in front of them. A 5xx goes through the application's error handler, so that it can
 * be logged.
 *
 * @throws {CoordinationError} `invalid_input` for an option out of range.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function requestStatusRoutes<const S extends string>(options: RequestOptions<S>): Hono {
  const settings = settingsOf(options);
  const app = new Hono();
  app.get(
    `/:${PARAM}`,
    withOwnErrors((c) => answerStatus(c, settings)),
  );
  app.get(
    `/:${PARAM}/events`,
    withOwnErrors((c) => answerEvents(c, settings)),
  );
  return app;
}

async function answerStatus<S extends string>(c: Context, settings: Settings<S>): Promise<Response> {
  const { maxWaitMs, clock } = settings;
  const { waitMs, waitApplied } = wishOf(c, maxWaitMs);
  const asked = await askedFor(c, settings);
  if (asked === undefined) return notFound(c);
  const limitMs = waitMs ? waitMs + LATE_LOOK_MS : LOOK_MS;
  const seen = await answered({ limitMs, signal: c.req.raw.signal, clock }, (signal) =>
    waitMs ? asked.tracker.waitForRequest(asked.id, { timeoutMs: waitMs, signal }) : look(asked, signal),
  );
  if (seen === null) return notFound(c);
  const headers: Record<string, string> = { ...NO_STORE };
  if (seen.state === "pending") headers["retry-after"] = RETRY_AFTER_SEC;
  if (waitApplied !== undefined) headers["preference-applied"] = waitApplied;
  return c.json({ id: asked.publicId, state: seen.state, queueStatus: seen.status }, 200, headers);
}

async function askedFor<S extends string>(c: Context, settings: Settings<S>): Promise<Asked<S> | undefined> {
  const publicId = await publicIdIn(c.req.param(PARAM), settings.scope);
  if (publicId === undefined) return undefined;
  const id = await recordIdOf(c, settings.scope, publicId);
  return { tracker: settings.trackerOf(c), id, publicId };
}

/** Returns the request's progress, in one round trip. */
function look<S extends string>({ tracker, id }: Asked<S>, signal: AbortSignal): Promise<RequestProgress<S> | null> {
  return tracker.progress(id, 0, { timeoutMs: 0, signal });
}

async function answerEvents<S extends string>(c: Context, settings: Settings<S>): Promise<Response> {
  const { clock, onEvent, maxStreamMs } = settings;
  const asked = await askedFor(c, settings);
  if (asked === undefined) return notFound(c);
  const { signal } = c.req.raw;
  let seen: RequestProgress<S> | null;
  try {
    seen = await answered({ limitMs: LOOK_MS, signal, clock }, (ended) => look(asked, ended));
  } catch (error) {
    if (signal.aborted || !isEventSource(c) || !isPassing(error)) throw error;
    emit(onEvent, { type: "followup_failed", transition: "request.progress", id: asked.id, error });
    return stream(c, retryText(error.retryAfterMs));
  }
  if (seen === null) {
    const again = isEventSource(c) ? unknownAgain(c.req.header("last-event-id") ?? "") : undefined;
    return again === undefined ? notFound(c) : stream(c, again);
  }
  const after = lastEventId(c);
  // The client has received the end. A stream would make an EventSource reconnect for ever.
  if (seen.state === "complete" && seen.version === after) return c.body(null, 204, NO_STORE);
  return stream(c, progressStream({ ...asked, seen, after, signal, clock, onEvent, maxStreamMs }));
}

/** Returns an event stream. It has an ETag, because Hono's `etag()` would read the stream to its end to make one. */
function stream(c: Context, body: string | ReadableStream<Uint8Array>): Response {
  return c.body(body, 200, { ...EVENTS_HEADERS, etag: `"${crypto.randomUUID()}"` });
}

/** Returns whether the client asks like an `EventSource`, which can read only a stream. */
function isEventSource(c: Context): boolean {
  return /\btext\/event-stream\b/i.test(c.req.header("accept") ?? "");
}

function isPassing(error: unknown): error is CoordinationError {
  return error instanceof CoordinationError && error.retryable;
}

/** Returns the version that the client has received; 0 for none, or for a text that is not a version. */
function lastEventId(c: Context): number {
  const text = c.req.header("last-event-id") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function notFound(c: Context): Response {
  return refusal(c, new Problem("not_found", "there is no such request"));
}
