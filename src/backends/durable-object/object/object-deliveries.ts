import type { Coordinator } from "../../../coordinator.js";
import { handlerOf, isWebhook } from "../../../core/outbox/routes.js";
import type { Handler, Webhooks } from "../../../delivery/handler.js";
import { CoordinationError } from "../../../errors.js";
import type { RetryPolicy } from "../../../lib/backoff.js";
import type { Duration } from "../../../lib/duration.js";
import { newOp } from "../../../lib/ids.js";
import type { CoordinatorEvent } from "../../../runtime/events.js";
import { type DeliveryOptions, type DeliveryPlace, deliver } from "../../../trackers/deliver.js";
import type { LocalBackend } from "./local-backend.js";

/** The fields of an object's class. */
export interface DeliverySettings {
  readonly handlers?: { readonly [name: string]: Handler<never, never> | undefined } | undefined;
  readonly webhooks?: Webhooks | ((keyPrefix: string) => Webhooks | undefined) | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly attemptTimeoutSec?: Duration | undefined;
}

export interface ObjectDeliveriesOptions {
  readonly local: LocalBackend;
  /** Read late: a subclass's fields are not set while the constructor of its base runs. */
  readonly settings: () => DeliverySettings;
  readonly env: unknown;
  readonly keyPrefix: () => string;
  readonly tenant: () => string | undefined;
  /** Returns why a handler must not be called for the tenant. */
  readonly refusal: (handler: string) => string | undefined;
  /** Returns the coordinator that handlers receive. */
  readonly coordinator: () => Coordinator;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly onEvent: (event: CoordinatorEvent) => void;
}

/** Delivers the ends of an object's groups, by the handlers and webhooks of its class. */
export class ObjectDeliveries {
  readonly #options: ObjectDeliveriesOptions;
  /** Identifies this instance of the object in memory. Attempts of an earlier instance ended with it. */
  readonly #incarnation = newOp();
  #hasStarted = false;

  constructor(options: ObjectDeliveriesOptions) {
    this.#options = options;
  }

  /** Starts on the first call. Events about invalid settings name the record with `id`. */
  start(id: string): void {
    if (this.#hasStarted) return;
    const { local, settings, env, waitUntil, onEvent, coordinator, tenant } = this.#options;
    const { handlers, retry, attemptTimeoutSec } = settings();
    const { webhooks, noWebhooks } = this.#webhooks(id);
    const bare: DeliveryOptions = { waitUntil, onEvent };
    const place: DeliveryPlace = {
      coordinator,
      sole: this.#incarnation,
      tenant: tenant(),
      lacks: (route) => (isWebhook(route) ? noWebhooks : this.#refusal(handlerOf(route))),
    };
    try {
      const options: DeliveryOptions = {
        ...bare,
        handlers: Object.fromEntries(
          Object.entries((handlers ?? {}) as Record<string, Handler>).filter(
            ([name]) => this.#refusal(name) === undefined,
          ),
        ),
        env,
        webhooks,
        ...(retry === undefined ? {} : { retry }),
        ...(attemptTimeoutSec === undefined ? {} : { attemptTimeoutSec }),
      };
      deliver(local, options, place);
    } catch (error) {
      this.#report(id, error);
      // Deadlines still work. Deliveries wait and are reported, like those without a handler.
      deliver(local, bare, place);
    }
    this.#hasStarted = true;
  }

  /** Returns why a handler must not be called. A rule that fails refuses its handler, and breaks no other. */
  #refusal(handler: string | undefined): string | undefined {
    if (handler === undefined) return undefined;
    try {
      return this.#options.refusal(handler);
    } catch {
      return "the rule for this handler failed: see handlerRefusal of the object";
    }
  }

  /** Returns the sender. Invalid webhook settings do not break handlers and deadlines. */
  #webhooks(id: string): { readonly webhooks: Webhooks | undefined; readonly noWebhooks?: string } {
    const { webhooks } = this.#options.settings();
    if (typeof webhooks !== "function") return { webhooks };
    try {
      return { webhooks: webhooks(this.#options.keyPrefix()) };
    } catch (error) {
      // Reported with the delivery that needs webhooks: most groups need none.
      if (error instanceof CoordinationError) return { webhooks: undefined, noWebhooks: error.message };
      this.#report(id, error);
      return { webhooks: undefined, noWebhooks: "the object's webhooks function failed" };
    }
  }

  #report(id: string, error: unknown): void {
    this.#options.onEvent({ type: "wake_failed", machine: "completion", id, error });
  }
}
