import type { Clock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import type { RequestProgress, RequestWaitTracker } from "../trackers/request-wait.js";
import { isTimeOver, timeIsOver } from "./end-in-time.js";

/** The request that a stream reports, and its client. */
export interface ProgressSource<S extends string> {
  readonly tracker: RequestWaitTracker<S>;
  /** The record's id. */
  readonly id: string;
  /** The request's progress now. */
  readonly seen: RequestProgress<S>;
  /** The version that the client has received already. */
  readonly after: number;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  readonly maxStreamMs: number;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
}

/** The pause between comments: proxies close idle connections. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ":\n\n";
/** How long a browser waits before it reconnects. A `retry` field alone is not an event. */
const RETRY_MS = 1_000;
const RETRY = retryAfter(RETRY_MS);
/** The same after an error. A longer `retryAfterMs` of the error is used, up to the maximum. */
const FAULT_RETRY_MS = 3_000;
const MAX_RETRY_MS = 60_000;
/** How many `unknown` events a client gets before the 404. The pause doubles each time: 31 s in all. */
const MAX_UNKNOWN = 5;

/**
 * Returns a request's progress as server-sent events, until it is complete, `maxStreamMs` is over, or the client disconnects.
 * Produces an event only when the client reads: a slow client gets fewer events, and no queue grows.
 */
export function progressStream<S extends string>(source: ProgressSource<S>): ReadableStream<Uint8Array> {
  const { signal, onEvent, id } = source;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  const texts = progressTexts(source, stopped.signal);
  const encoder = new TextEncoder();
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      const { done, value } = await texts.next();
      if (!done) return controller.enqueue(encoder.encode(value));
    } catch (error) {
      // The client reconnects, and continues after its last event.
      const transition = "request.progress";
      if (!stopped.signal.aborted) emit(onEvent, { type: "followup_failed", transition, id, error });
    } finally {
      signal.removeEventListener("abort", stop);
    }
    controller.close();
  };
  return new ReadableStream<Uint8Array>({ pull, cancel: stop }, { highWaterMark: 0 });
}

/** Yields the texts of one stream: events, and comments while nothing changes. */
async function* progressTexts<S extends string>(
  { tracker, id, seen, after, clock, maxStreamMs }: ProgressSource<S>,
  stopped: AbortSignal,
): AsyncGenerator<string, void> {
  const untilMs = clock.now() + maxStreamMs;
  const isNews = seen.state === "complete" || seen.version > after;
  yield isNews ? RETRY + eventOf(seen) : RETRY;
  let last = seen;
  let version = isNews ? seen.version : after;
  while (last.state !== "complete") {
    const limitMs = Math.min(HEARTBEAT_MS, untilMs - clock.now());
    if (limitMs <= 0) return;
    let next: RequestProgress<S> | null;
    try {
      // The timeout applies here as well: if the backend does not answer, comments still keep the connection alive.
      next = await within({ limitMs, signal: stopped, clock }, timeIsOver, (signal) =>
        tracker.progress(id, version, { timeoutMs: limitMs, signal }),
      );
    } catch (error) {
      if (!isTimeOver(error)) throw error;
      yield HEARTBEAT;
      continue;
    }
    // The request has expired, or was cleaned up.
    if (next === null) {
      yield unknownText(1);
      return;
    }
    last = next;
    version = next.version;
    yield eventOf(next);
  }
}

/**
 * Returns the stream for a passing fault: it only says when to connect again. A status other than 200, or another content
 * type, would close an `EventSource` for good.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model
 */
export function retryText(afterMs: number | undefined): string {
  return retryAfter(Math.min(Math.max(afterMs ?? 0, FAULT_RETRY_MS), MAX_RETRY_MS));
}

/**
 * Returns the stream for an unknown request, which may be registered a moment later. The event's id counts the attempts.
 * Returns `undefined` after the last one.
 */
export function unknownAgain(lastEventId: string): string | undefined {
  const told = /^unknown-(\d)$/.exec(lastEventId)?.[1];
  const nth = Number(told ?? 0) + 1;
  return nth > MAX_UNKNOWN ? undefined : unknownText(nth);
}

function unknownText(nth: number): string {
  const retry = retryAfter(RETRY_MS * 2 ** (nth - 1));
  return `${retry}event: unknown\nid: unknown-${nth}\ndata: ${JSON.stringify({ state: "unknown" })}\n\n`;
}

function retryAfter(ms: number): string {
  return `retry: ${Math.ceil(ms)}\n\n`;
}

function eventOf<S extends string>({ state, version, open, status }: RequestProgress<S>): string {
  const data = JSON.stringify({ state, open, queueStatus: status });
  return `event: ${state === "complete" ? state : "progress"}\nid: ${version}\ndata: ${data}\n\n`;
}
