import { CoordinationError } from "../errors.js";
import { systemClock } from "../lib/clock.js";
import { within } from "../runtime/deadline.js";
import { parseAllowedHosts } from "./allowed-host.js";
import { brokenAttempt, refusedAttempt, timedOutAttempt } from "./failed-attempt.js";
import { OPTION_NAMES, type OptionNames } from "./option-names.js";
import { readSecrets } from "./secret.js";
import { sign } from "./signature.js";
import { checkTarget, type TargetRules } from "./target.js";

const DEFAULT_TIMEOUT_MS = 15_000;
const MAX_TIMEOUT_MS = 300_000;

/** The part of `fetch` that a sender calls. */
export type WebhookFetch = (url: string, init: RequestInit) => Promise<Response>;

/** What a sender is made with. */
export interface WebhookSenderOptions {
  /** The live signing secrets, `whsec_…`, a list or separated by spaces; a message carries one signature of each. */
  readonly secrets: string | readonly string[];
  /** `host` or `host:port`, a list or separated by commas; nothing is sent elsewhere. See {@link parseHosts}. */
  readonly allowedHosts: string | readonly string[];
  /** Development only, default false: http, loopback and single-label hosts too, provided they are on the list. */
  readonly allowHttp?: boolean;
  /** Default: the platform's. */
  readonly fetch?: WebhookFetch;
  /** How long one attempt may take until its status is there: 1 to 300,000 ms, default 15,000. */
  readonly timeoutMs?: number;
  /** The clock behind `webhook-timestamp` and a dated `Retry-After`; default `Date.now`. */
  readonly nowMs?: () => number;
}

/** One attempt of a message. */
export interface WebhookMessage {
  readonly url: string;
  /** The delivery id, the same at each attempt: 1 to 256 visible ASCII characters, without a full stop. */
  readonly id: string;
  /** JSON. */
  readonly body: string;
  /** Gives the attempt up; it may have arrived. */
  readonly signal?: AbortSignal;
}

/** Sends messages, one attempt a call. */
export interface WebhookSender {
  /**
   * Whether messages may go to this URL, by its spelling and the allow list; nothing is resolved or sent.
   *
   * @throws CoordinationError `invalid_input` with the reason.
   */
  check(url: string): void;
  /**
   * Makes one attempt: checks the URL, signs the body for this instant, posts it. Resolves on a 2xx status; redirects are
   * not followed, and the answer's body is not read. It does not retry.
   *
   * @throws CoordinationError `invalid_input` for a URL that is refused or a malformed id; `rate_limited` (429) and
   *   `backend_unavailable` (5xx, 408, 425, no answer in time or at all) with `retryAfterMs` (at most an hour) where the
   *   receiver named a time; `backend_rejected` for any other status, `retryable` but for 410 Gone.
   *   Rejects with `signal.reason` when the signal aborts.
   */
  send(message: WebhookMessage): Promise<void>;
}

/**
 * Sends signed webhooks (Standard Webhooks, HMAC-SHA-256) to hosts that the operator named, over https.
 *
 * Refused even when they are on the list: IP literals that are not public, in any spelling, and names that are kept for
 * private networks. A name on the list is trusted: what it resolves to is not looked at, since `fetch` can neither
 * see nor pin the address.
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

/** `webhookSender`, with errors that name its options as the caller calls them. */
export function namedSender(options: WebhookSenderOptions, names: OptionNames): WebhookSender {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, nowMs = Date.now } = options;
  if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new CoordinationError("invalid_input", `timeoutMs must be 1 to ${MAX_TIMEOUT_MS}`);
  }
  const secrets = readSecrets(options.secrets, names).map(({ text }) => text);
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
    send: async ({ url, id, body, signal }) => {
      const target = checkTarget(url, rules);
      const timestampSec = Math.floor(nowMs() / 1000);
      const headers = {
        "content-type": "application/json",
        "user-agent": "edge-coordinator",
        "webhook-id": id,
        "webhook-timestamp": String(timestampSec),
        "webhook-signature": await sign({ secret: secrets, id, timestampSec, body }),
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

/** Ends with the answer, the time or the caller's signal, whichever is first, even if the call heeds no signal. */
function attempt(call: (signal: AbortSignal) => Promise<Response>, options: AttemptOptions): Promise<Response> {
  const { host, timeoutMs, signal } = options;
  const limit = { limitMs: timeoutMs, signal, clock: systemClock };
  return within(
    limit,
    () => timedOutAttempt(host, timeoutMs),
    async (ended) => {
      try {
        const response = await call(ended);
        // It came too late: nobody reads it.
        if (ended.aborted) discard(response);
        return response;
      } catch (fault) {
        throw brokenAttempt(host, fault);
      }
    },
  );
}

/** Lets the connection go without reading. A body that fails to be cancelled was lost anyway. */
function discard(response: Response): void {
  response.body?.cancel().catch(() => undefined);
}
