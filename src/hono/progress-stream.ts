import type { Clock } from "../clock.js";
import type { OnEvent } from "../coordinator.js";
import { emit } from "../events.js";
import type { RequestProgress, RequestWaitTracker } from "../trackers/request-wait.js";
import { within } from "../within.js";
import { isTimeOver, timeIsOver } from "./end-in-time.js";

/** What a stream tells of, and to whom. */
export interface ProgressSource<S extends string> {
  readonly tracker: RequestWaitTracker<S>;
  /** The record's id. */
  readonly id: string;
  /** How the request stands now. */
  readonly seen: RequestProgress<S>;
  /** The version that the client knows already. */
  readonly after: number;
  /** The client's. */
  readonly signal: AbortSignal;
  readonly maxStreamMs: number;
  readonly clock: Clock;
  readonly onEvent: OnEvent | undefined;
}

/** Proxies end connections on which nothing happens. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ":\n\n";
/** How soon a browser comes again. A field alone is no event. */
const RETRY = "retry: 1000\n\n";

/**
 * The progress of a request as server-sent events, until it is complete, the time is over, or the client goes. Made one
 * at a time, when the client has taken the last: a slow client gets fewer steps and no queue grows.
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
      // The client comes again, and goes on where it was.
      const transition = "request.progress";
      if (!stopped.signal.aborted) emit(onEvent, { type: "followup_failed", transition, id, error });
    } finally {
      signal.removeEventListener("abort", stop);
    }
    controller.close();
  };
  return new ReadableStream<Uint8Array>({ pull, cancel: stop }, { highWaterMark: 0 });
}

/** The pieces of one stream: events, and comments while nothing happens. */
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
      // Bounded here as well: where the backend is silent, the connection is kept alive all the same.
      next = await within({ limitMs, signal: stopped, clock }, timeIsOver, (signal) =>
        tracker.progress(id, version, { timeoutMs: limitMs, signal }),
      );
    } catch (error) {
      if (!isTimeOver(error)) throw error;
      yield HEARTBEAT;
      continue;
    }
    // Expired or cleaned up: the client that comes again finds nothing.
    if (next === null) return;
    last = next;
    version = next.version;
    yield eventOf(next);
  }
}

function eventOf<S extends string>({ state, version, open, status }: RequestProgress<S>): string {
  const data = JSON.stringify({ state, open, queueStatus: status });
  return `event: ${state === "complete" ? state : "progress"}\nid: ${version}\ndata: ${data}\n\n`;
}
