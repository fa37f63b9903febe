import type { Coordinator } from "../coordinator.js";
import { DEFAULT_RETRY } from "../core/outbox/attempts.js";
import { Deliverer } from "../delivery/deliverer.js";
import type { Handler, Handlers, Payloads, Webhooks } from "../delivery/handler.js";
import { TARGET_KINDS } from "../delivery/targets/registry.js";
import { CoordinationError } from "../errors.js";
import type { RetryPolicy } from "../lib/backoff.js";
import { type Duration, inSeconds } from "../lib/duration.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger, checkNumber, MAX_SEC } from "../lib/validate.js";
import type { Backend } from "../runtime/backend.js";
import type { OnEvent } from "../runtime/events.js";

/** How an instance delivers the ends of groups. */
export interface DeliveryOptions<T extends Payloads = Payloads, Env = unknown> {
  /** Durable callbacks by name. This instance runs them when a group's timer fires here. */
  readonly handlers?: Handlers<T, Env>;
  /** The `ctx.env` of handlers. */
  readonly env?: Env;
  /** Keeps the invocation alive for work that outlives the call: `ctx.waitUntil` of Workers and Vercel. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Sends signed webhooks from this instance. */
  readonly webhooks?: Webhooks | undefined;
  /**
   * How this instance retries its deliveries, with full jitter. Refused without `handlers` and `webhooks`: the coordinator
   * itself then completes requests that wait for a group, with the default policy.
   *
   * @default 12 attempts, 1 s to 15 min
   */
  readonly retry?: Partial<RetryPolicy>;
  /** How long one attempt of this instance may take, in seconds: 0.001 to 840. Default 30. Refused like `retry`. */
  readonly attemptTimeoutSec?: Duration;
  /**
   * Receives events: each attempt of a delivery, and failures outside of any call. Errors that it throws are ignored.
   * Default: a warning on the console, at most one a minute, for events that need an operator (see `CoordinatorEvent`).
   */
  readonly onEvent?: OnEvent | undefined;
}

/** Settings for delivery inside a Durable Object. */
export interface DeliveryPlace {
  /** Returns the `ctx.coordinator` of handlers, which is not the object's own backend. */
  readonly coordinator: () => Coordinator;
  /** The id of this instance of the object. Only this instance delivers, so leases of earlier instances have ended. */
  readonly sole: string;
  /** The tenant that the groups belong to. */
  readonly tenant: string | undefined;
  /** Returns why deliveries to a route wait, if the place knows more than that nothing takes them. */
  readonly lacks: (route: string) => string | undefined;
}

/**
 * Delivers the ends of groups that wake on this coordinator, until the returned function is called.
 *
 * @throws {CoordinationError} `invalid_input` for an option out of range, or for `retry` or `attemptTimeoutSec` without
 * handlers and webhooks; `unsupported` for any of these where the backend delivers by itself.
 */
export function deliver(coordinator: Coordinator, options: DeliveryOptions): () => void;
export function deliver(backend: Backend, options: DeliveryOptions, place: DeliveryPlace): () => void;
export function deliver(coordinator: Backend, options: DeliveryOptions, place?: DeliveryPlace): () => void {
  const retry = retryPolicy(options.retry);
  checkInteger(retry.maxAttempts, "retry.maxAttempts", 1, 100);
  checkInteger(retry.baseDelayMs, "retry.baseDelayMs", 0, MAX_SEC * 1000);
  checkInteger(retry.maxDelayMs, "retry.maxDelayMs", retry.baseDelayMs, MAX_SEC * 1000);
  const attemptTimeoutSec = inSeconds(options.attemptTimeoutSec, "attemptTimeoutSec") ?? 30;
  checkNumber(attemptTimeoutSec, "attemptTimeoutSec", 0.001, 840);
  const handlers = checkHandlers(options.handlers ?? {});
  const { webhooks, env, waitUntil, onEvent } = options;
  // Without handlers and webhooks, this instance can deliver nothing that the coordinator cannot.
  const isIdle = handlers.size === 0 && webhooks === undefined && place === undefined;
  if (isIdle && options.retry === undefined && options.attemptTimeoutSec === undefined) return () => {};
  const theirs = place?.coordinator ?? (() => coordinator as Coordinator);
  const deliverer = new Deliverer({
    coordinator,
    kinds: TARGET_KINDS,
    host: {
      groups: theirs,
      coordinator: theirs,
      handlers,
      webhooks,
      env,
      tenant: place?.tenant,
      lacks: place?.lacks,
      waitUntil,
      onEvent,
    },
    sole: place?.sole,
    retry,
    attemptMs: Math.round(attemptTimeoutSec * 1000),
  });
  // A backend that delivers by itself throws here. Its error says where to configure handlers and webhooks.
  const stops = [coordinator.onWake("completion", deliverer), coordinator.onWake("request", deliverer)];
  const stop = (): void => {
    for (const each of stops) each();
  };
  if (!isIdle) return stop;
  stop();
  throw new CoordinationError(
    "invalid_input",
    "retry and attemptTimeoutSec say how this instance delivers: give it handlers or webhooks, or leave them out",
  );
}

const RETRY: Names<RetryPolicy> = { maxAttempts: true, baseDelayMs: true, maxDelayMs: true };

/** Returns the policy with its defaults. A `baseDelayMs` above the default `maxDelayMs` raises that default. */
function retryPolicy(policy: Partial<RetryPolicy> = {}): RetryPolicy {
  checkOptions(policy, RETRY, "retry");
  const { maxAttempts = DEFAULT_RETRY.maxAttempts, baseDelayMs = DEFAULT_RETRY.baseDelayMs } = policy;
  const { maxDelayMs = Math.max(baseDelayMs, DEFAULT_RETRY.maxDelayMs) } = policy;
  return { maxAttempts, baseDelayMs, maxDelayMs };
}

function checkHandlers(handlers: object): Map<string, Handler> {
  const checked = new Map<string, Handler>();
  for (const [name, handler] of Object.entries(handlers)) {
    checkId(name, "handlers' names");
    if (typeof handler !== "function") {
      throw new CoordinationError("invalid_input", `handlers.${name} must be a function`);
    }
    checked.set(name, handler as Handler);
  }
  return checked;
}
