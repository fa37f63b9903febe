import type { Coordinator } from "../../coordinator.js";
import type { Claim } from "../../core/outbox/attempts.js";
import type { Target } from "../../core/outbox/deliveries.js";
import type { CoordinationError } from "../../errors.js";
import type { Backend } from "../../runtime/backend.js";
import type { OnEvent } from "../../runtime/events.js";
import type { Handler, Webhooks } from "../handler.js";

/** What an instance brings along to deliver with. A backend's own brings only the way to its requests. */
export interface DeliveryHost {
  /** Where the requests are that wait for a group. */
  readonly requests: () => Backend;
  readonly handlers?: ReadonlyMap<string, Handler> | undefined;
  /** What handlers see as `ctx.coordinator`. */
  readonly coordinator?: (() => Coordinator) | undefined;
  /** What handlers see as `ctx.env`. */
  readonly env?: unknown;
  /** Whose groups these are. */
  readonly tenant?: string | undefined;
  readonly webhooks?: Webhooks | undefined;
  /** Why `webhooks` is missing, where it is set up wrongly. */
  readonly noWebhooks?: string | undefined;
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  readonly onEvent?: OnEvent | undefined;
}

/** One attempt to deliver the end of a group. */
export interface Attempt {
  readonly groupId: string;
  readonly claim: Claim;
  /** Aborted when the attempt has taken its time. */
  readonly signal: AbortSignal;
}

/** What the failure of an attempt says about the next one. */
export interface NextAttempt {
  /** No further attempt can do better. */
  readonly final?: true;
  /** Not before so many milliseconds have passed. */
  readonly notBeforeMs?: number;
}

/**
 * A kind of target: how a registration names it, and how a delivery goes there. A new kind is one file here and one line in
 * `registry.ts`.
 */
export interface TargetKind {
  /** The field by which a registration's target is of this kind. */
  readonly field: string;
  /** How a registration writes it, for errors. */
  readonly form: string;
  /**
   * Returns what is stored of a registration's target.
   *
   * @param checkUrl refuses a URL that would never be sent to.
   * @throws {CoordinationError} `invalid_input` that names the field.
   */
  store(target: object, field: string, checkUrl: ((url: string) => void) | undefined): Target;
  /** Whether a stored route leads to this kind. */
  owns(route: string): boolean;
  /** The routes on which this instance can deliver. */
  routes(host: DeliveryHost): readonly string[];
  /** Where a delivery goes. Each destination has a share of the places for work. */
  destination(claim: Claim): string;
  /** Makes one attempt. A rejection has it tried again. */
  send(attempt: Attempt, host: DeliveryHost): Promise<void>;
  /** What callers and tenants read in place of an error that may hold a secret. */
  readonly withheld: string;
  /** What a `CoordinationError` of the receiver says about the next attempt. */
  next(error: CoordinationError): NextAttempt;
  /** Why this instance lacks the route, where it knows more than that. */
  lacks?(host: DeliveryHost): string | undefined;
}
