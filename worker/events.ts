import type { EventSettings } from "../src/hono/event-answer.js";
import { systemClock } from "../src/lib/clock.js";
import { remainingMs } from "./capability/grants.js";
import type { AppContext } from "./context.js";

const MAX_STREAM_MS = 60_000;

/**
 * Returns how the Worker sends event streams. A client reconnects after each, and continues after its last event. A stream ends
 * when the caller's token expires.
 */
export function eventsOf(c: AppContext): EventSettings {
  return { maxStreamMs: Math.min(MAX_STREAM_MS, remainingMs(c)), clock: systemClock, onEvent: undefined };
}
