import type { Coordinator } from "../../coordinator.js";
import type { Claim } from "../../core/outbox/attempts.js";
import type { Target } from "../../core/outbox/deliveries.js";
import type { CoordinationError } from "../../errors.js";
import type { Backend } from "../../runtime/backend.js";
import type { OnEvent } from "../../runtime/events.js";
import type { Handler, Webhooks } from "../handler.js";

/**
 * The handlers, senders and bindings of an instance that delivers. A backend that delivers by itself sets `groups` only.
 */
export interface DeliveryHost {
  /** The backend of other groups and requests: of parents, and of child groups. */
  readonly groups: () => Backend;
  readonly handlers?: ReadonlyMap<string, Handler> | undefined;
  /** The `ctx.coordinator` of handlers. */
  readonly coordinator?: (() => Coordinator) | undefined;
  /** The `ctx.env` of handlers. */
  readonly env?: unknown;
  /** The tenant that owns the groups. */
  readonly tenant?: string | undefined;
  readonly webhooks?: Webhooks | undefined;
  /** Returns why this instance cannot deliver to a route, if it knows more than that. */
  readonly lacks?: ((route: string) => string | undefined) | undefined;
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** One attempt to deliver the end of a group or request. */
export interface Attempt {
  readonly machine: "completion" | "request";
  readonly id: string;
  readonly claim: Claim;
  /** The backend of the record itself. */
  readonly backend: Backend;
  /** Aborted when the attempt times out. */
  readonly signal: AbortSignal;
  /** The trace context of the attempt, where a tracer in this process has one. */
  readonly traceparent?: string | undefined;
}

/** The consequences of a failed attempt for the next one. */
export interface NextAttempt {
  /** No further attempt is made. */
  readonly final?: true;
  /** The next attempt does not begin before this many milliseconds. */
  readonly notBeforeMs?: number;
}

/** How a registration names a kind of target. */
export interface NamedTarget {
  /** The field that identifies a registration's target as this kind. */
  readonly field: string;
  /** How a registration writes this kind. Errors show it. */
  readonly form: string;
  /**
   * Returns a registration's target in the form that is stored.
   *
   * @param checkUrl throws for a URL that the webhook sender would refuse.
   * @throws {CoordinationError} `invalid_input` that names the field.
   */
  store(target: object, field: string, checkUrl: ((url: string) => void) | undefined): Target;
}

/**
 * A kind of target: how a registration names it, and how a delivery reaches it. To add a kind, add one file here and
 * one line in `registry.ts`: two lines for a kind that backends deliver alone. CONTRIBUTING lists where its types belong.
 */
export interface TargetKind {
  /** How a registration names this kind. Absent for deliveries that only the core makes. */
  readonly named?: NamedTarget;
  /** Whether a stored route leads to this kind. */
  owns(route: string): boolean;
  /** Returns the routes that this instance can deliver to. */
  routes(host: DeliveryHost): readonly string[];
  /** Returns the destination of a delivery, for the limits of the work pool: each destination has a share of it. */
  destination(claim: Claim): string;
  /**
   * Makes one attempt. A rejection causes another one. Returns `undefined` once all is delivered, else the body of the
   * next attempt, which continues the work at once.
   */
  send(attempt: Attempt, host: DeliveryHost): Promise<string | undefined>;
  /** The text that callers and tenants read instead of an error that may hold a secret. */
  readonly withheld: string;
  /** Returns the consequences of a `CoordinationError` of the attempt for the next one. */
  next(error: CoordinationError): NextAttempt;
}
