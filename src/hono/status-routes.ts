import { type Context, Hono } from "hono";
import type { RequestStatus } from "../trackers/request/status.js";
import type { RequestWaitTracker } from "../trackers/request-wait.js";
import { RETRY_AFTER_SEC } from "./answer.js";
import { withOwnErrors } from "./coordination-errors.js";
import { answered } from "./end-in-time.js";
import { answerEvents, LATE_LOOK_MS, LOOK_MS, NO_STORE, notFound } from "./event-answer.js";
import type { RequestOptions } from "./options.js";
import type { ProgressSource } from "./progress-stream.js";
import { publicStatus, requestEvents } from "./request-events.js";
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

/**
 * Returns routes for the status of requests. Mount them at `statusPath`, with the options of `requestWait`.
 *
 * - `GET /:id`: `{ id, state, final, open, queueStatus, reason }`, as a `RequestStatus` has them. 404 for an unknown
 *   request, or one of another scope. `Prefer: wait=N`, or `?wait=true&timeout=N`, waits for the end, at most `maxWaitMs`. Then 200 with the current state,
 *   and `Retry-After` while it is pending. A slow backend has 2 s more.
 * - `GET /:id/events`: server-sent events, for `EventSource`. `progress` with the same fields reports changes at most a
 *   second later, several at a time. A last `complete`, `timed_out` or `cancelled` comes at once. Their `id` is a version: with
 *   `Last-Event-ID` a client continues after its last event. A stream ends after `maxStreamMs`, and the client reconnects. A
 *   client that has received the last one gets a 204, at which an `EventSource` stops.
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
    withOwnErrors(async (c) => answerEvents(c, eventsOf(await askedFor(c, settings)), settings)),
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
    waitMs ? asked.tracker.wait(asked.id, { timeoutMs: waitMs, signal }) : asked.tracker.status(asked.id, { signal }),
  );
  if (seen === null) return notFound(c);
  const headers: Record<string, string> = { ...NO_STORE };
  if (seen.state === "pending") headers["retry-after"] = RETRY_AFTER_SEC;
  if (waitApplied !== undefined) headers["preference-applied"] = waitApplied;
  return c.json(publicStatus(asked.publicId, seen), 200, headers);
}

async function askedFor<S extends string>(c: Context, settings: Settings<S>): Promise<Asked<S> | undefined> {
  const publicId = await publicIdIn(c.req.param(PARAM), settings.scope);
  if (publicId === undefined) return undefined;
  const id = await recordIdOf(c, settings.scope, publicId);
  return { tracker: settings.trackerOf(c), id, publicId };
}

/** Returns the progress of a request as events. */
function eventsOf<S extends string>(asked: Asked<S> | undefined): ProgressSource<RequestStatus<S>> | undefined {
  if (asked === undefined) return undefined;
  const { tracker, id, publicId } = asked;
  return requestEvents(publicId, { id, newer: (after, options) => tracker.newer(id, after, options) });
}
