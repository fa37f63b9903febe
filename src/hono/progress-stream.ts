import type { TransitionName } from "../core/registry.js";
import type { Clock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { isTimeOver, timeIsOver } from "./end-in-time.js";

/** A group or a request whose progress is sent as events. */
export interface ProgressSource<Status> {
  /** The record's id, and the transition that is watched, for events about failures. */
  readonly id: string;
  readonly transition: TransitionName;
  /** Returns the status once its version is another than `after`; null when the record is unknown. */
  newer(after: string, options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<Status | null>;
  eventOf(status: Status): ProgressEvent;
}

/** One event. */
export interface ProgressEvent {
  /** The name: `progress`, or the state at the end. */
  readonly name: string;
  /** The event's id. */
  readonly version: string;
  readonly data: object;
  /** No event follows. */
  readonly isLast: boolean;
}

/** One stream of events, and its client. */
export interface ProgressStream<Status> {
  readonly source: ProgressSource<Status>;
  /** The event that reports the current status. */
  readonly seen: ProgressEvent;
  /** The version that the client has received already; "" for none. */
  readonly after: string;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  /** No text is produced from this instant on. */
  readonly untilMs: number;
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
 * Returns the progress as server-sent events, until the end, until `untilMs`, or until the client disconnects.
 * Produces an event only when the client reads: a slow client gets fewer events, and no queue grows.
 */
export function progressStream<Status>(stream: ProgressStream<Status>): ReadableStream<Uint8Array> {
  const { signal, onEvent, source } = stream;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  const texts = progressTexts(stream, stopped.signal);
  const encoder = new TextEncoder();
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      const { done, value } = await texts.next();
      if (!done) return controller.enqueue(encoder.encode(value));
    } catch (error) {
      // The client reconnects, and continues after its last event.
      const { transition, id } = source;
      if (!stopped.signal.aborted) emit(onEvent, { type: "followup_failed", transition, id, error });
    } finally {
      signal.removeEventListener("abort", stop);
    }
    controller.close();
  };
  return new ReadableStream<Uint8Array>({ pull, cancel: stop }, { highWaterMark: 0 });
}

/** Yields the texts of one stream: events, and comments while nothing changes. */
async function* progressTexts<Status>(
  { source, seen, after, clock, untilMs }: ProgressStream<Status>,
  stopped: AbortSignal,
): AsyncGenerator<string, void> {
  // A client may begin to read when its token has expired.
  if (clock.now() >= untilMs) return;
  const isNews = seen.isLast || seen.version !== after;
  yield isNews ? RETRY + textOf(seen) : RETRY;
  let last = seen;
  while (!last.isLast) {
    const limitMs = Math.min(HEARTBEAT_MS, untilMs - clock.now());
    if (limitMs <= 0) return;
    const { version } = last;
    let next: Status | null;
    try {
      // The timeout applies here as well: if the backend does not answer, comments still keep the connection alive.
      next = await within({ limitMs, signal: stopped, clock }, timeIsOver, (signal) =>
        source.newer(version, { timeoutMs: limitMs, signal }),
      );
    } catch (error) {
      if (!isTimeOver(error)) throw error;
      if (clock.now() >= untilMs) return;
      yield HEARTBEAT;
      continue;
    }
    // It has expired, or was removed.
    if (next === null) {
      yield unknownText(1);
      return;
    }
    last = source.eventOf(next);
    yield textOf(last);
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
 * Returns the stream for an unknown record, which may be registered a moment later. The event's id counts the attempts.
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

function textOf({ name, version, data }: ProgressEvent): string {
  return `event: ${name}\nid: ${version}\ndata: ${JSON.stringify(data)}\n\n`;
}
