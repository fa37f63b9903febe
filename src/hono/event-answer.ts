import type { Context } from "hono";
import { CoordinationError } from "../errors.js";
import { Problem } from "../http/problem.js";
import type { Clock } from "../lib/clock.js";
import { emit, type OnEvent } from "../runtime/events.js";
import { refusal } from "./coordination-errors.js";
import { answered } from "./end-in-time.js";
import { type ProgressSource, progressStream, retryText, unknownAgain } from "./progress-stream.js";

/** How long a wait may exceed its timeout, when a message announced the end and the read was late. */
export const LATE_LOOK_MS = 2_000;
/** How long one read may take. */
export const LOOK_MS = 10_000;
export const NO_STORE = { "cache-control": "no-store" };
const EVENTS_HEADERS = {
  "content-type": "text/event-stream",
  // Compression and buffering proxies would delay events.
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
};

/** How an event stream is sent. */
export interface EventSettings {
  /** How long the answer may take, the first read included. */
  readonly maxStreamMs: number;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
}

/**
 * Answers with the progress of a record as server-sent events, from the client's `Last-Event-ID` on. See
 * `requestStatusRoutes`.
 *
 * @param source undefined for a record that does not exist, or is not the client's.
 */
export async function answerEvents<Status>(
  c: Context,
  source: ProgressSource<Status> | undefined,
  { clock, onEvent, maxStreamMs }: EventSettings,
): Promise<Response> {
  if (source === undefined) return notFound(c);
  const { signal } = c.req.raw;
  // The first read may be slow, and a token may expire meanwhile.
  const untilMs = clock.now() + maxStreamMs;
  let status: Status | null;
  try {
    status = await answered({ limitMs: Math.min(LOOK_MS, maxStreamMs), signal, clock }, (ended) =>
      source.newer("", { timeoutMs: 0, signal: ended }),
    );
  } catch (error) {
    if (error instanceof CoordinationError && error.code === "wait_timeout") status = null;
    else if (signal.aborted || !isEventSource(c) || !isPassing(error)) throw error;
    else {
      emit(onEvent, { type: "followup_failed", transition: source.transition, id: source.id, error });
      return stream(c, retryText(error.retryAfterMs));
    }
  }
  if (status === null) {
    const again = isEventSource(c) ? unknownAgain(c.req.header("last-event-id") ?? "") : undefined;
    return again === undefined ? notFound(c) : stream(c, again);
  }
  const seen = source.eventOf(status);
  const after = lastEventId(c);
  // The client has received the end. A stream would make an EventSource reconnect for ever.
  if (seen.isLast && seen.version === after) return c.body(null, 204, NO_STORE);
  return stream(c, progressStream({ source, seen, after, signal, clock, onEvent, untilMs }));
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

/** Returns the version that the client has received; "" for none, or for a text that is not a version. */
function lastEventId(c: Context): string {
  const text = c.req.header("last-event-id") ?? "";
  return /^\d{1,15}\.\d{1,15}$/.test(text) ? text : "";
}

export function notFound(c: Context): Response {
  return refusal(c, new Problem("not_found", "there is no such group or request"));
}
