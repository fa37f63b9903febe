import type { EventSettings } from "../src/hono/event-answer.js";
import { systemClock } from "../src/lib/clock.js";

/** How the Worker sends event streams. A client reconnects after each, and continues after its last event. */
export const EVENTS: EventSettings = { maxStreamMs: 60_000, clock: systemClock, onEvent: undefined };
