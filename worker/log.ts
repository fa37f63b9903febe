import type { CoordinationError } from "../src/errors.js";
import type { CoordinatorEvent } from "../src/runtime/events.js";

/** An event of the Worker itself, beside those of the library. */
export type WorkerEvent =
  /** A token was missing, wrong or expired, or the token of a callback URL was. Tokens in the path are left out. */
  | { readonly type: "auth_failed"; readonly path: string }
  /** A variable or a binding is missing or malformed. The error names it, and holds no value. */
  | { readonly type: "misconfigured"; readonly error: CoordinationError }
  /** An error that the caller only sees as `internal`. */
  | { readonly type: "failed"; readonly error: unknown };

/** An event of the library or of the Worker. */
export type LogEvent = CoordinatorEvent | WorkerEvent;

/** How much a line matters. */
export type Level = "info" | "warn" | "error";

/** How much of a path a log shows. */
const MAX_PATH_LENGTH = 200;

/**
 * Three long segments, as a token has them. It matches only from the beginning of a segment, so its time is linear in the
 * length of a path, which a client needs no token to send.
 */
const TOKEN = /(?<![\w-])[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/g;

/** Returns a path for a log: without the token of a callback URL, and without a token that a caller put there by mistake. */
export function loggedPath(path: string): string {
  // Redacted before it is cut, or the cut would leave the first part of a token, which the pattern does not know.
  return path
    .replace(/^\/c\/.*/s, "/c/…")
    .replace(TOKEN, "…")
    .slice(0, MAX_PATH_LENGTH);
}

/** How many lines an isolate or an object writes in a second. Later events of that second are counted. */
const LINES_A_SECOND = 20;
/** The longest text of an error, in characters. */
const MAX_ERROR_LENGTH = 1_024;

/**
 * Writes events as lines of JSON, for Workers Logs and Logpush: `{ "level", "event", … }`. A line holds ids and messages,
 * and no payload, token or secret. At most 20 lines a second; the first line after them has `suppressed`, the number of
 * events that were not written.
 */
export class EventLog {
  readonly #now: () => number;
  readonly #write: (level: Level, line: string) => void;
  #secondMs = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(now: () => number = Date.now, write: (level: Level, line: string) => void = writeLine) {
    this.#now = now;
    this.#write = write;
  }

  add(event: LogEvent, more: Readonly<Record<string, string | undefined>> = {}): void {
    const nowMs = this.#now();
    if (Math.abs(nowMs - this.#secondMs) >= 1_000) {
      this.#secondMs = nowMs;
      this.#lines = 0;
    }
    if (this.#lines >= LINES_A_SECOND) {
      this.#suppressed += 1;
      return;
    }
    this.#lines += 1;
    const suppressed = this.#suppressed === 0 ? undefined : this.#suppressed;
    this.#suppressed = 0;
    const level = levelOf(event);
    this.#write(level, JSON.stringify({ level, ...fieldsOf(event), ...more, suppressed }));
  }
}

function fieldsOf(event: LogEvent): object {
  const { type, ...fields } = event;
  return { event: type, ...fields, ...("error" in event ? { error: textOf(event.error) } : {}) };
}

/** Returns the name and message of an error. Its other fields may hold what a caller sent. */
function textOf(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, MAX_ERROR_LENGTH);
}

/** `error` needs a person now, `warn` soon, `info` never. */
function levelOf(event: LogEvent): Level {
  switch (event.type) {
    case "delivery":
      if (event.outcome === "dead") return "error";
      return event.outcome === "delivered" || event.outcome === "stale" ? "info" : "warn";
    case "misconfigured":
    case "failed":
    case "wake_failed":
    case "drain_failed":
      return "error";
    default:
      return "warn";
  }
}

function writeLine(level: Level, line: string): void {
  // The platform's logs are the default Worker's only output: without them an operator would learn nothing.
  // biome-ignore lint/suspicious/noConsole: `onEvent` replaces it.
  console[level](line);
}
