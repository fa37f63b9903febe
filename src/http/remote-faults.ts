import type { CoordinationErrorCode, CoordinationErrorOptions } from "../errors.js";

/** The meaning of an answer that holds no result: an error's code, its text and its options. */
export interface RemoteFault extends Omit<CoordinationErrorOptions, "cause"> {
  readonly code: CoordinationErrorCode;
  /** The cause and what to do, without the name of the server. */
  readonly says: string;
}

/** The longest `Retry-After` that is passed on after a daily or monthly limit was reached. */
const QUOTA_RETRY_MS = 3_600_000;
/** How long to wait for an overloaded object. Durable Objects count their requests over ten seconds. */
const OVERLOAD_RETRY_MS = 10_000;

function passing(says: string, applied: "no" | "unknown" = "no"): RemoteFault {
  return { code: "backend_unavailable", says, retryable: true, applied };
}

function lasting(code: CoordinationErrorCode, says: string): RemoteFault {
  return { code, says, retryable: false, applied: "no" };
}

// ---- HTTP ----

/**
 * Retryable statuses below 500. A proxy's 408 or 409 does not prove that nothing was applied. 425 and 429 say that the
 * request was not processed.
 */
const PASSING_STATUS: Readonly<Record<number, "no" | "unknown">> = {
  408: "unknown",
  409: "unknown",
  425: "no",
  429: "no",
};

/**
 * Statuses from 500 on that are not retryable: the server does not support the request, is full, or the client must log
 * in to the network.
 */
const LASTING_5XX = [501, 505, 506, 507, 510, 511];

const BY_STATUS: Readonly<Record<number, readonly [CoordinationErrorCode, string]>> = {
  401: ["unauthorized", "does not accept the token"],
  403: ["unauthorized", "does not accept the token"],
  404: ["misconfigured", "answered 404: check url"],
  413: ["limit_exceeded", "does not take a request of this size (413): send less at a time"],
  429: ["rate_limited", "asks to send less (429)"],
  507: ["backend_rejected", "is full (507): delete data, or raise its limit"],
};

/** Returns the meaning of an HTTP status alone. For answers that are not 2xx and whose body says no more. */
export function faultOfStatus(status: number): RemoteFault {
  // 0: a browser's status for a redirect that `redirect: "manual"` does not follow.
  if (status === 0 || (status >= 300 && status < 400)) {
    return lasting("misconfigured", "answered with a redirect, which is not followed: check url");
  }
  const applied = status >= 500 ? "unknown" : (PASSING_STATUS[status] ?? "no");
  const [code, says] = BY_STATUS[status] ?? ["backend_unavailable", `answered ${status}`];
  const passes = status in PASSING_STATUS || (status >= 500 && !LASTING_5XX.includes(status));
  if (passes) return { code, says, retryable: true, applied };
  return { code: status in BY_STATUS ? code : "backend_rejected", says, retryable: false, applied };
}

// ---- Redis ----

/**
 * Error words with which Redis refuses a command, or a script before its first write. All are retryable.
 *
 * @see https://redis.io/docs/latest/develop/reference/errors/common/
 */
const PASSING_WORDS: Readonly<Record<string, string>> = {
  BUSY: "another script has run for too long",
  CLUSTERDOWN: "a part of the cluster has no working node",
  LOADING: "the server still loads its data",
  MASTERDOWN: "this replica has lost its primary",
  MISCONF: "the server cannot save to its disk",
  NOREPLICAS: "too few replicas are connected",
  OOM: "the server's memory is full: raise maxmemory, or store less",
  READONLY: "the server takes no writes: a failover, an upgrade, or url is a replica's",
  TRYAGAIN: "the cluster moves its slots",
};

/** A daily or monthly request limit of the plan. It is retryable, but not within one call. */
const QUOTA = /^ERR max ((daily |monthly )?(requests?|commands?) limit|.*bandwidth)/;
/** Upstash ends a script that takes too long. The error does not say whether the script has written. */
const SCRIPT_TIMEOUT = /^(ERR )?Error running script.*(timed out|timeout)/i;
/** The user lacks a right that a script needs. The script may have written before it came to that command. */
const SCRIPT_RIGHTS = /^ERR (The user executing the script can't|ACL failure in script)/;

/**
 * Errors of Redis, its proxies and Upstash that are whole sentences.
 *
 * @see https://upstash.com/docs/redis/troubleshooting/max_requests_limit
 */
const TEXTS: readonly (readonly [RegExp, CoordinationErrorCode, "passes" | "lasts", string])[] = [
  [QUOTA, "rate_limited", "passes", "has reached the request limit of its plan: send less, or upgrade the plan"],
  [SCRIPT_TIMEOUT, "backend_unavailable", "passes", "ran out of time in the script"],
  [
    /^ERR max (number of clients|concurrent connections)/,
    "backend_unavailable",
    "passes",
    "has as many connections as it takes",
  ],
  [/^ERR max (commands|requests) per second/, "rate_limited", "passes", "asks to send less"],
  // Redis stops only a script that has written nothing yet.
  [/^ERR Script killed by user/, "backend_unavailable", "passes", "stopped the script (SCRIPT KILL)"],
  [
    /^ERR max (request|(single )?record|key|field|entry|value) size/,
    "limit_exceeded",
    "lasts",
    "does not take a request, an answer or a record of this size: send or store less at a time",
  ],
  [
    /^ERR DB capacity quota/,
    "backend_rejected",
    "lasts",
    "is full (capacity quota): delete data, use shorter TTLs, or upgrade the plan",
  ],
  [/^(NOAUTH|WRONGPASS)\b/, "unauthorized", "lasts", "does not accept the token"],
  [
    /^NOPERM\b/,
    "unauthorized",
    "lasts",
    "does not let this token write: use the standard token, not the read-only one",
  ],
  [
    SCRIPT_RIGHTS,
    "unauthorized",
    "lasts",
    "refused a command of the script: grant its user what docs/security.md lists",
  ],
];

/** Where the error that a script raised begins, on servers that put their own words in front of it. */
const INSIDE_SCRIPT = /: ?-?(?=[A-Z]{3,15} )/g;

/** Returns the meaning of a Redis error. The text may quote keys and values, so only its first word is passed on. */
export function faultOfRedis(text: string): RemoteFault {
  for (const part of partsOf(text)) {
    const [pattern, code, ends, says] = TEXTS.find(([known]) => known.test(part)) ?? [];
    if (code !== undefined && says !== undefined) {
      const applied = pattern === SCRIPT_TIMEOUT || pattern === SCRIPT_RIGHTS ? "unknown" : "no";
      const retryAfterMs = pattern === QUOTA ? QUOTA_RETRY_MS : undefined;
      return { code, says, retryable: ends === "passes", applied, retryAfterMs };
    }
    const word = /^[A-Z]+\b/.exec(part)?.[0] ?? "";
    if (Object.hasOwn(PASSING_WORDS, word)) return passing(`answered ${word}: ${PASSING_WORDS[word]}`);
  }
  const word = /^[A-Z]{2,20}(?=\s|$)/.exec(text)?.[0] ?? "";
  return lasting("backend_rejected", `refused the command${word && ` (${word})`}`);
}

/** Returns the text itself, and for a script's error also what follows the server's own words. */
function partsOf(text: string): string[] {
  if (!/^(ERR )?[^:]{0,40}script/i.test(text)) return [text];
  const head = text.slice(0, 500);
  return [text, ...[...head.matchAll(INSIDE_SCRIPT)].map((match) => head.slice(match.index + match[0].length))];
}

// ---- Durable Objects ----

/** The properties that the platform sets on an error. */
interface Marks {
  readonly retryable?: unknown;
  readonly overloaded?: unknown;
  readonly durableObjectReset?: unknown;
  readonly remote?: unknown;
}

/** The platform's messages. They identify errors that lost these properties on the way through another object or Worker. */
const PASSING_OBJECT =
  /^(Network connection lost|Durable Object reset because its code was updated|Cannot resolve Durable Object due to transient)/;

/**
 * Returns the meaning of a failed call to a Durable Object. `resend`: whether to resend the call at once with a fresh
 * stub. Never resend to an overloaded object: that makes the overload worse.
 *
 * @see https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
 */
export function faultOfObject(error: unknown): RemoteFault & { readonly resend: boolean } {
  const { retryable, overloaded, durableObjectReset } = Object(error) as Marks;
  const message = error instanceof Error ? error.message : "";
  const final = (fault: RemoteFault) => ({ ...fault, resend: false });
  if (overloaded === true || message.startsWith("Durable Object is overloaded")) {
    const says = "the object is overloaded";
    return final({
      code: "rate_limited",
      says,
      retryable: true,
      applied: "unknown",
      retryAfterMs: OVERLOAD_RETRY_MS,
    });
  }
  if (isTooLargeForRpc(error)) {
    const says = "the call or its answer is larger than one RPC may be: send or read less at a time";
    return final({ code: "limit_exceeded", says, retryable: false, applied: "unknown" });
  }
  // The platform sets no property for an object whose class was created without SQLite.
  if (message.includes("SQL is not enabled")) {
    return final(lasting("misconfigured", "the object's class needs new_sqlite_classes in [[migrations]]"));
  }
  if (lacksMethod(error)) {
    return final(
      lasting("misconfigured", "the object lacks the method: the namespace's class must extend CoordinatorObject"),
    );
  }
  const resend = retryable === true || durableObjectReset === true || PASSING_OBJECT.test(message);
  return { ...passing("the call to the object failed", "unknown"), resend };
}

/** Whether a call or its answer exceeds the size limit of an RPC. The platform sets no property for it. */
export function isTooLargeForRpc(error: unknown): boolean {
  return error instanceof Error && /RPC arguments or return values are limited to/i.test(error.message);
}

/** Whether the called object lacks the method. */
export function lacksMethod(error: unknown): boolean {
  return (Object(error) as Marks).remote === true && error instanceof TypeError;
}

/** Returns the meaning of a storage error of a Durable Object; `undefined` for any other error. */
export function faultOfStorage(error: unknown): RemoteFault | undefined {
  const message = error instanceof Error ? error.message : "";
  if (/SQLITE_FULL|disk is full/.test(message)) {
    return lasting(
      "backend_rejected",
      "the object's storage is full (10 GB): spread the data over more keys or groups",
    );
  }
  if (/SQLITE_TOOBIG|string or blob too big/.test(message)) {
    return lasting("limit_exceeded", "a value is larger than a row of the object may be (2 MB)");
  }
  if (/SQLITE_(NOMEM|BUSY|LOCKED|IOERR|INTERRUPT)/.test(message)) return passing("the object's storage failed");
  return undefined;
}
