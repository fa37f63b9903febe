import { CoordinationError } from "../errors.js";
import type { FetchFunction as WebhookFetch } from "../http/fetch.js";
import { systemClock } from "../lib/clock.js";
import { type Duration, inMillis } from "../lib/duration.js";
import { within } from "../runtime/deadline.js";
import { parseAllowedHosts } from "./allowed-host.js";
import { brokenAttempt, refusedAttempt, timedOutAttempt } from "./failed-attempt.js";
import { OPTION_NAMES, type OptionNames } from "./option-names.js";
import { importSecrets, type Mac, readSecrets } from "./secret.js";
import { signWith } from "./signature.js";
import { checkTarget, type TargetRules } from "./target.js";

const DEFAULT_TIMEOUT_MS = 15_000;
const MAX_TIMEOUT_MS = 300_000;

export type { WebhookFetch };

/** Options of a sender. */
export interface WebhookSenderOptions {
  /** The valid signing secrets, `whsec_…`, a list or separated by spaces. A message carries one signature for each. */
  readonly secrets: string | readonly string[];
  /**
   * Hosts that may receive webhooks: `host` or `host:port`, with a path prefix if wanted, a list or separated by commas. See
   * {@link parseHosts}.
   */
  readonly allowedHosts: string | readonly string[];
  /** Development only, default false: allows http, loopback and single-label hosts too, if they are on the list. */
  readonly allowHttp?: boolean;
  /** Sends requests. Default: the platform's `fetch`. */
  readonly fetch?: WebhookFetch;
  /** How long one attempt may wait for the answer's status, in milliseconds: 1 to 300,000. Default 15,000. */
  readonly timeoutMs?: Duration;
  /** Gives the time for `webhook-timestamp` and a dated `Retry-After`, in milliseconds since 1970. Default `Date.now`. */
  readonly nowMs?: () => number;
}

/** One attempt of a message. */
export interface WebhookMessage {
  readonly url: string;
  /** The delivery id, the same at each attempt: 1 to 256 visible ASCII characters, without a full stop. */
  readonly id: string;
  /** JSON. */
  readonly body: string;
  /** The trace context of this attempt: the value of the header `traceparent` (W3C). Not signed. @default no header */
  readonly traceparent?: string | undefined;
  /** Aborts the attempt. The message may have arrived. */
  readonly signal?: AbortSignal;
}

/** Sends messages, one attempt for each call. */
export interface WebhookSender {
  /**
   * Checks a URL by its spelling and the allow list. Resolves and sends nothing.
   *
   * @throws CoordinationError `invalid_input` with the reason.
   */
  check(url: string): void;
  /**
   * Makes one attempt: checks the URL, signs the body for this instant, posts it. Resolves on a 2xx status. Does not follow
   * redirects, read the answer's body, or retry.
   *
   * @throws CoordinationError `invalid_input` for a URL that is refused or a malformed id; `rate_limited` (429) and
   *   `backend_unavailable` (5xx, 408, 425, no answer in time or at all) with `retryAfterMs` (at most an hour) where the
   *   receiver named a time; `backend_rejected` for any other status, `retryable` except for 410 Gone.
   *   Rejects with `signal.reason` when the signal aborts.
   */
  send(message: WebhookMessage): Promise<void>;
}

/**
 * Returns a sender of signed webhooks (Standard Webhooks, HMAC-SHA-256) to hosts that the operator named, over https.
 *
 * Refused even when they are on the list: IP literals that are not public, in any spelling, and names that are kept for
 * private networks. Does not check what a name on the list resolves to: `fetch` can neither see nor pin the address.
 *
 * @throws CoordinationError `misconfigured` for a missing or malformed secret or host, `invalid_input` for a `timeoutMs`
 *   out of range.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * @example
 * const sender = webhookSender({ secrets: env.WEBHOOK_SECRET, allowedHosts: "hooks.example" });
 * await sender.send({ url: "https://hooks.example/done", id: "msg_1", body: JSON.stringify({ ok: true }) });
 */
export function webhookSender(options: WebhookSenderOptions): WebhookSender {
  return namedSender(options, OPTION_NAMES);
}

/** `webhookSender`, with errors that use the caller's names of the options. */
export function namedSender(options: WebhookSenderOptions, names: OptionNames): WebhookSender {
  const { nowMs = Date.now } = options;
  const timeoutMs = inMillis(options.timeoutMs, "timeoutMs") ?? DEFAULT_TIMEOUT_MS;
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new CoordinationError("invalid_input", `timeoutMs must be 1 to ${MAX_TIMEOUT_MS}`);
  }
  readSecrets(options.secrets, names);
  let imported: readonly Mac[] | undefined;
  const rules: TargetRules = {
    allowedHosts: parseAllowedHosts(options.allowedHosts, names),
    allowHttp: options.allowHttp === true,
    names,
  };
  const post: WebhookFetch = options.fetch ?? ((url, init) => fetch(url, init));

  return {
    check: (url) => {
      checkTarget(url, rules);
    },
    send: async ({ url, id, body, traceparent, signal }) => {
      const target = checkTarget(url, rules);
      // The result is kept, not its promise: a request must not wait for another one's work.
      imported ??= await importSecrets(options.secrets, names);
      const timestampSec = Math.floor(nowMs() / 1000);
      const headers = {
        "content-type": "application/json",
        "user-agent": "edge-coordinator",
        "webhook-id": id,
        "webhook-timestamp": String(timestampSec),
        "webhook-signature": await signWith(imported, { id, timestampSec, body }),
        ...(traceparent === undefined ? {} : { traceparent }),
      };
      const response = await attempt(
        (abort) => post(target.href, { method: "POST", headers, body, redirect: "manual", signal: abort }),
        { host: target.host, timeoutMs, signal },
      );
      discard(response);
      if (!response.ok) throw refusedAttempt(response, target.host, nowMs());
    },
  };
}

interface AttemptOptions {
  readonly host: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Ends with the answer, the timeout or the caller's signal, whichever is first, even if `call` ignores its signal. */
function attempt(call: (signal: AbortSignal) => Promise<Response>, options: AttemptOptions): Promise<Response> {
  const { host, timeoutMs, signal } = options;
  const limit = { limitMs: timeoutMs, signal, clock: systemClock };
  return within(
    limit,
    () => timedOutAttempt(host, timeoutMs),
    async (ended) => {
      try {
        const response = await call(ended);
        // The answer came too late: no caller reads it.
        if (ended.aborted) discard(response);
        return response;
      } catch (fault) {
        throw brokenAttempt(host, fault);
      }
    },
  );
}

/** Closes the connection without reading the body. A failed cancel means that the connection is already closed. */
function discard(response: Response): void {
  response.body?.cancel().catch(() => undefined);
}
