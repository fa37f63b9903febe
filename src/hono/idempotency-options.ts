import type { Context } from "hono";
import type { Coordinator } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { hexDigest } from "../lib/digest.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkInteger, checkTtlSec } from "../lib/validate.js";
import type { OnEvent } from "../runtime/events.js";
import { checkRun, MAX_RUN_VALUE_BYTES } from "../trackers/run-once.js";
import { fingerprintOf } from "./fingerprint.js";
import type { GuardSettings } from "./idempotent-run.js";
import { REPLAYED } from "./stored-response.js";

/** Options of `idempotentRequests`, and the same ones of `idempotency`. */
export interface IdempotentRequestsOptions {
  /**
   * Answers 400 when a request has no key. Otherwise its handler runs, and nothing is kept.
   *
   * @default false
   */
  readonly required?: boolean | undefined;
  /**
   * Returns a text that identifies the request behind the key. A request with the same key and another text is answered 422.
   * Set it for bodies of more than 1 MB, and for forms, whose boundary is another one at each try.
   *
   * @default a digest of the method, the path with its query, `Content-Type`, and the raw body
   */
  readonly fingerprint?: ((c: Context) => string | Promise<string>) | undefined;
  /** How long a response is kept, in seconds: more than 0, at most a year. @default 86_400 */
  readonly ttlSec?: Duration | undefined;
  /**
   * How long a key is held without a renewal while its handler runs, in seconds: 1 to 86,400. After a crash, a duplicate runs
   * the handler again once this time is over.
   *
   * @default 30
   */
  readonly leaseSec?: Duration | undefined;
  /**
   * Decides about a duplicate while the first request is processed. `"conflict"` answers 409 with `Retry-After`. `"wait"`
   * waits up to `waitMs` for the first response.
   *
   * @default "conflict"
   */
  readonly onInFlight?: "conflict" | "wait" | undefined;
  /** How long a duplicate waits, in milliseconds: 0 to 600,000. @default 25_000 */
  readonly waitMs?: Duration | undefined;
  /**
   * Returns whether a response is kept. A response that is not kept frees the key: the next request runs the handler again.
   * Do not read the body of the response. A handler that throws always frees the key.
   *
   * @default 2xx, 3xx, and 4xx without 400, 401, 403, 408, 413, 415, 422, 425 and 429
   */
  readonly store?: ((response: Response) => boolean) | undefined;
  /** More header fields to replay, beside those that describe the body. `Set-Cookie` is refused. @default [] */
  readonly headers?: readonly string[] | undefined;
}

/**
 * Options of `idempotency`.
 *
 * @typeParam R whether a request must have a key.
 */
export interface IdempotencyOptions<R extends boolean = boolean> extends IdempotentRequestsOptions {
  readonly required?: R | undefined;
  /** The coordinator of the keys. A function is called once for each request, as Workers need it. */
  readonly coordinator: Coordinator | ((c: Context) => Coordinator);
  /**
   * The owner of a key: a function that returns the user's or tenant's id, 1 to 2,048 bytes. Return what your authentication
   * has proved, never what the client claims. The same key in two scopes is two keys.
   *
   * `"public"` is for clients that are not authenticated. A client that sends the key and the very request of another client
   * gets that client's response. So a key must then be a UUID, or have 32 characters or more; other keys are answered 400.
   */
  readonly scope: ((c: Context) => string) | "public";
  /**
   * Returns the key: 1 to 255 printable ASCII characters, or `undefined` for a request without one. The answer to any other
   * key is 400.
   *
   * @default `Idempotency-Key`, bare or in quotes
   */
  readonly key?: ((c: Context) => string | undefined | Promise<string | undefined>) | undefined;
  /** Receives `followup_failed` when a response is not kept, or a key is not freed, because the backend fails. */
  readonly onEvent?: OnEvent | undefined;
}

const OPTIONS: Names<IdempotentRequestsOptions> = {
  required: true,
  fingerprint: true,
  ttlSec: true,
  leaseSec: true,
  onInFlight: true,
  waitMs: true,
  store: true,
  headers: true,
};
export const IDEMPOTENCY_OPTIONS: Names<IdempotencyOptions> = {
  ...OPTIONS,
  coordinator: true,
  scope: true,
  key: true,
  onEvent: true,
};
const MAX_WAIT_MS = 600_000;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
/** Fields that belong to one client, or to one connection. */
const REFUSED = /^(set-cookie2?|content-length|transfer-encoding|connection|keep-alive|upgrade|trailer|te)$/i;

/** @throws {CoordinationError} `invalid_input` for an option that is unknown or out of range. */
export function guardSettings(options: IdempotentRequestsOptions = {}): GuardSettings {
  checkOptions(options, OPTIONS);
  const { required = false, fingerprint, ttlSec, leaseSec, waitMs, onInFlight = "conflict", store } = options;
  check(typeof required === "boolean", "required must be true or false");
  check(onInFlight === "conflict" || onInFlight === "wait", 'onInFlight must be "conflict" or "wait"');
  check(fingerprint === undefined || typeof fingerprint === "function", "fingerprint must be a function");
  check(store === undefined || typeof store === "function", "store must be a function");
  if (ttlSec !== undefined) checkTtlSec(ttlSec, "ttlSec");
  checkInteger(inMillis(waitMs, "waitMs") ?? 0, "waitMs", 0, MAX_WAIT_MS);
  const wanted = onInFlight === "wait" ? ("wait" as const) : ("skip" as const);
  const run = checkRun({ windowSec: ttlSec, leaseSec, waitMs, onInFlight: wanted }, undefined);
  return {
    isRequired: required,
    run: { ...run, maxValueBytes: MAX_RUN_VALUE_BYTES },
    names: replayedNames(options.headers),
    store,
    fingerprint: fingerprint === undefined ? fingerprintOf : (c) => ownFingerprint(c, fingerprint),
  };
}

/** @throws {CoordinationError} `invalid_input` unless the check holds. */
export function check(isValid: boolean, message: string): void {
  if (!isValid) throw new CoordinationError("invalid_input", message);
}

function replayedNames(headers: readonly string[] = []): readonly string[] {
  const isList = Array.isArray(headers) && headers.every((name) => typeof name === "string" && FIELD_NAME.test(name));
  check(isList, "headers must be a list of names of header fields");
  for (const name of headers) check(!REFUSED.test(name), `headers must not hold ${name.toLowerCase()}`);
  return [...new Set([...REPLAYED, ...headers.map((name) => name.toLowerCase())])];
}

async function ownFingerprint(c: Context, fingerprint: (c: Context) => unknown): Promise<string> {
  const text = await fingerprint(c);
  if (typeof text === "string") return hexDigest("SHA-256", text);
  throw new CoordinationError("misconfigured", "fingerprint must return a text");
}
