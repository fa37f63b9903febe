import type { CoordinationError } from "../src/errors.js";
import type { CoordinatorEvent } from "../src/runtime/events.js";
import type { QuotaName } from "./quotas/table.js";

/** An event of the Worker itself, beside those of the library. `tenant` is missing for `COORDINATOR_TOKEN`. */
export type WorkerEvent =
  /**
   * A caller was refused. Tokens in the path are left out. `missing`: it sent no token. `unknown`: the token is none of this
   * Worker's. `expired`: a capability or a callback URL is forged, malformed or expired. `forbidden`: a capability does not
   * allow the call.
   */
  | {
      readonly type: "auth_failed";
      readonly method: string;
      readonly path: string;
      readonly reason: "missing" | "unknown" | "expired" | "forbidden";
      readonly tenant?: string | undefined;
    }
  /** A variable or a binding is missing or malformed. The error names it, and holds no value. */
  | { readonly type: "misconfigured"; readonly variable?: string | undefined; readonly error: CoordinationError }
  /** A tenant has reached a quota, and got 429. */
  | {
      readonly type: "quota";
      readonly quota: QuotaName;
      readonly method: string;
      readonly path: string;
      readonly tenant?: string | undefined;
    }
  /** A quota could not be counted, so the call was allowed. */
  | {
      readonly type: "quota_unchecked";
      readonly quota: QuotaName;
      readonly tenant?: string | undefined;
      readonly error: unknown;
    }
  /** An error that the caller only sees as `internal`. */
  | { readonly type: "failed"; readonly method: string; readonly path: string; readonly error: unknown };

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

/** How many lines of one kind an isolate or an object writes in a second. Later events of that second are counted. */
const LINES_A_SECOND = 20;
/** The longest text of an error, in characters. */
const MAX_ERROR_LENGTH = 1_024;

/** The lines of one kind. */
interface Kind {
  secondMs: number;
  lines: number;
  suppressed: number;
}

/**
 * Writes events as lines of JSON, for Workers Logs and Logpush: `{ "level", "event", … }`. A line holds ids and messages,
 * and no payload, token or secret. At most 20 lines a second of each event and level: many failed tokens do not hide a dead
 * letter. The first line after them has `suppressed`, the number of events of its kind that were not written.
 */
export class EventLog {
  readonly #now: () => number;
  readonly #write: (level: Level, line: string) => void;
  readonly #kinds = new Map<string, Kind>();

  constructor(now: () => number = Date.now, write: (level: Level, line: string) => void = writeLine) {
    this.#now = now;
    this.#write = write;
  }

  add(event: LogEvent, more: Readonly<Record<string, string | undefined>> = {}): void {
    const nowMs = this.#now();
    const level = levelOf(event);
    const kind = this.#kinds.get(level + event.type) ?? { secondMs: nowMs, lines: 0, suppressed: 0 };
    this.#kinds.set(level + event.type, kind);
    if (Math.abs(nowMs - kind.secondMs) >= 1_000) {
      kind.secondMs = nowMs;
      kind.lines = 0;
    }
    if (kind.lines >= LINES_A_SECOND) {
      kind.suppressed += 1;
      return;
    }
    kind.lines += 1;
    const suppressed = kind.suppressed === 0 ? undefined : kind.suppressed;
    kind.suppressed = 0;
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
    case "registered":
    case "ended":
      return "info";
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
