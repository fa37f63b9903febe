import type { Coordinator } from "../coordinator.js";
import { DEFAULT_RETRY } from "../core/outbox/attempts.js";
import { Deliverer } from "../delivery/deliverer.js";
import type { Handler, Handlers, Payloads, Webhooks } from "../delivery/handler.js";
import { TARGET_KINDS } from "../delivery/targets/registry.js";
import { CoordinationError } from "../errors.js";
import type { RetryPolicy } from "../lib/backoff.js";
import { checkOptions, type Names } from "../lib/known-options.js";
import { checkId, checkInteger, checkNumber, MAX_SEC } from "../lib/validate.js";
import type { Backend } from "../runtime/backend.js";
import type { OnEvent } from "../runtime/events.js";

/** What an instance brings along to deliver the ends of groups. */
export interface DeliveryOptions<T extends Payloads = Payloads, Env = unknown> {
  /** Durable callbacks by name, run by this instance when a group's timer rings here. */
  readonly handlers?: Handlers<T, Env>;
  /** What handlers find as `ctx.env`. */
  readonly env?: Env;
  /** Keeps the invocation alive for work that outlives the call: `ctx.waitUntil` of Workers and Vercel. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Sends signed webhooks from this instance. */
  readonly webhooks?: Webhooks | undefined;
  /**
   * How this instance's deliveries are repeated, with full jitter. What is left out is 12 attempts, 1 s to 15 min. Refused without `handlers`
   * and `webhooks`: a request that waits for a group is then let go by the coordinator itself, in the default way.
   */
  readonly retry?: Partial<RetryPolicy>;
  /** How long one attempt of this instance's may take, in seconds. Default 30, 0.001 to 840. Refused where `retry` is. */
  readonly attemptTimeoutSec?: number;
  /**
   * Receives events: each attempt of a delivery, and what failed outside of any call. What it throws is ignored.
   * Default: a warning on the console, at most one a minute, for what needs a person (see `CoordinatorEvent`).
   */
  readonly onEvent?: OnEvent | undefined;
}

/** What is special where the coordinator is an object's own. */
export interface DeliveryPlace {
  /** What handlers see as `ctx.coordinator`, where it is not the one that wakes. */
  readonly coordinator: () => Coordinator;
  /** This process's id: it alone delivers, and a lease that another one holds ended with that one. */
  readonly sole: string;
  /** Whose groups these are. */
  readonly tenant: string | undefined;
  /** Why `webhooks` is missing, where it is set up wrongly. */
  readonly noWebhooks?: string | undefined;
}

/**
 * Has the groups that wake on this coordinator delivered here, until the function that it returns is called.
 *
 * @throws {CoordinationError} `invalid_input` for an option out of range, or one that says how to deliver to somebody who has
 * nothing to deliver with; `unsupported` for any of them where the backend delivers by itself.
 */
export function deliver(coordinator: Coordinator, options: DeliveryOptions): () => void;
export function deliver(backend: Backend, options: DeliveryOptions, place: DeliveryPlace): () => void;
export function deliver(coordinator: Backend, options: DeliveryOptions, place?: DeliveryPlace): () => void {
  const retry = retryPolicy(options.retry);
  checkInteger(retry.maxAttempts, "retry.maxAttempts", 1, 100);
  checkInteger(retry.baseDelayMs, "retry.baseDelayMs", 0, MAX_SEC * 1000);
  checkInteger(retry.maxDelayMs, "retry.maxDelayMs", retry.baseDelayMs, MAX_SEC * 1000);
  const attemptTimeoutSec = options.attemptTimeoutSec ?? 30;
  checkNumber(attemptTimeoutSec, "attemptTimeoutSec", 0.001, 840);
  const handlers = checkHandlers(options.handlers ?? {});
  const { webhooks, env, waitUntil, onEvent } = options;
  // Somebody who brings nothing along is no more able than the coordinator itself.
  const isIdle = handlers.size === 0 && webhooks === undefined && place === undefined;
  if (isIdle && options.retry === undefined && options.attemptTimeoutSec === undefined) return () => {};
  const theirs = place?.coordinator ?? (() => coordinator as Coordinator);
  const deliverer = new Deliverer({
    coordinator,
    kinds: TARGET_KINDS,
    host: {
      requests: theirs,
      coordinator: theirs,
      handlers,
      webhooks,
      env,
      tenant: place?.tenant,
      noWebhooks: place?.noWebhooks,
      waitUntil,
      onEvent,
    },
    sole: place?.sole,
    retry,
    attemptMs: Math.round(attemptTimeoutSec * 1000),
  });
  // A backend that delivers by itself refuses here, and says where handlers and the like belong.
  const stop = coordinator.onWake("completion", deliverer);
  if (!isIdle) return stop;
  stop();
  throw new CoordinationError(
    "invalid_input",
    "retry and attemptTimeoutSec say how this instance delivers: give it handlers or webhooks, or leave them out",
  );
}

const RETRY: Names<RetryPolicy> = { maxAttempts: true, baseDelayMs: true, maxDelayMs: true };

/** The policy, with the defaults for what is left out. A longer first pause raises the default of the longest one. */
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
