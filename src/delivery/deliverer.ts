import { type Claim, type Claimed, DEFAULT_RETRY, type Notice, type WokenInput } from "../core/outbox/attempts.js";
import { CoordinationError } from "../errors.js";
import type { RetryPolicy } from "../lib/backoff.js";
import { systemClock } from "../lib/clock.js";
import { newOp } from "../lib/ids.js";
import { shortText } from "../lib/validate.js";
import type { AttemptObserver, Backend, Wake, WakingMachine, Work } from "../runtime/backend.js";
import { within } from "../runtime/deadline.js";
import { emit } from "../runtime/events.js";
import { retry } from "../runtime/retry.js";
import { MAX_WAIT_MS } from "../runtime/work-pool.js";
import type { DeliveryHost, NextAttempt, TargetKind } from "./targets/target-kind.js";

export interface DelivererOptions {
  /** The backend that holds the groups. */
  readonly coordinator: Backend;
  /** The kinds of target that deliveries can go to. */
  readonly kinds: readonly TargetKind[];
  /** The handlers, webhooks and bindings of this instance. */
  readonly host: DeliveryHost;
  /** This process's incarnation, where only one process at a time delivers. */
  readonly sole?: string | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** How long one attempt may take, in milliseconds. @default 30_000 */
  readonly attemptMs?: number | undefined;
}

const DEFAULT_ATTEMPT_MS = 30_000;
/** How much longer than its attempt a lease lasts: the time to settle the attempt. */
const SETTLE_MS = 15_000;
const SETTLE_AGAIN: RetryPolicy = { maxAttempts: 100, baseDelayMs: 250, maxDelayMs: 2_000 };
/** How many bytes of an error the record keeps, and how many an event holds. */
const MAX_ERROR_BYTES = 256;
const MAX_EVENT_ERROR_BYTES = 1_024;

/** The machines whose ends are delivered. */
export type GroupMachine = Extract<WakingMachine, "completion" | "request">;

/**
 * Delivers the claims of a woken group or request on the routes that its host can deliver to. Settles each attempt with
 * its record.
 */
export class Deliverer implements Wake<GroupMachine> {
  readonly #options: DelivererOptions;
  readonly #attemptMs: number;
  readonly #retry: RetryPolicy;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#attemptMs = options.attemptMs ?? DEFAULT_ATTEMPT_MS;
    this.#retry = options.retry ?? DEFAULT_RETRY;
    this.waitUntil = options.host.waitUntil;
  }

  input(): WokenInput {
    const { kinds, host, sole } = this.#options;
    const input: WokenInput = {
      op: newOp(),
      routes: kinds.flatMap((kind) => kind.routes(host)),
      leaseMs: MAX_WAIT_MS + this.#attemptMs + SETTLE_MS,
      retry: this.#retry,
    };
    if (sole !== undefined) input.sole = sole;
    return input;
  }

  async act(id: string, claimed: Claimed, machine: GroupMachine): Promise<void> {
    await Promise.all(this.works(id, claimed, machine).map((work) => work.run()));
  }

  works(id: string, { claims, notices = [] }: Claimed, machine: GroupMachine): Work[] {
    const group: DeliveringGroup = { machine, id };
    for (const notice of notices) this.#reportNotice(group, notice);
    return claims.map((claim) => ({
      destination: this.#kindOf(claim.route)?.destination(claim) ?? claim.route,
      isRetry: claim.attempt > 1,
      run: (observer) => this.#deliver(group, claim, observer),
      handBack: async (handedBackMs) => {
        const { key, fence } = claim;
        const input = { key, fence, retry: this.#retry, random: 0, handedBackMs };
        await this.#options.coordinator.run(`${machine}.settle`, id, input);
      },
    }));
  }

  /** Makes one attempt and settles it. Returns whether the attempt succeeded. */
  async #deliver(group: DeliveringGroup, claim: Claim, observer: AttemptObserver | undefined): Promise<boolean> {
    const leaseEndsMs = Date.now() + this.#attemptMs + SETTLE_MS;
    const attempted = await this.#attempt(group, claim, observer);
    const { settlement, thrown } = attempted;
    const settled = await this.#settle(group, claim, settlement, leaseEndsMs);
    // A part of the work was done: the next attempt is not a retry.
    const isPart = "rest" in settlement && settled.settled;
    if (!isPart) this.#report(group, claim, settled.settled ? settled.delivery?.state : undefined, thrown);
    return thrown === undefined;
  }

  /**
   * Settles an attempt. Retries through an outage of the backend until the lease ends; after that the attempt would be
   * made again.
   */
  #settle({ machine, id }: DeliveringGroup, claim: Claim, settlement: object, leaseEndsMs: number) {
    const { coordinator } = this.#options;
    const { key, fence } = claim;
    const input = { key, fence, retry: this.#retry, random: Math.random(), ...settlement };
    return retry(() => coordinator.run(`${machine}.settle`, id, input), {
      policy: SETTLE_AGAIN,
      random: Math.random,
      clock: systemClock,
      endsAtMs: leaseEndsMs,
      maxRetryAfterMs: Number.POSITIVE_INFINITY,
    });
  }

  /** Makes one attempt. */
  async #attempt(group: DeliveringGroup, claim: Claim, observer: AttemptObserver | undefined): Promise<Attempted> {
    const attemptMs = this.#attemptMs;
    const kind = this.#kindOf(claim.route);
    const late = (): CoordinationError =>
      new CoordinationError("wait_timeout", `took longer than ${attemptMs} ms`, { retryable: true });
    try {
      const backend = this.#options.coordinator;
      const rest = await within({ limitMs: attemptMs, signal: undefined, clock: systemClock }, late, async (signal) => {
        if (kind === undefined) throw new CoordinationError("unsupported", `nothing here delivers to ${claim.route}`);
        const { traceparent } = observer ?? {};
        return kind.send({ ...group, claim, backend, signal, traceparent }, this.#options.host);
      });
      return { settlement: rest === undefined ? {} : { rest }, thrown: undefined };
    } catch (error) {
      observer?.failed(error);
      return failureOf(error, kind);
    }
  }

  /** Returns `undefined` for a route that only a later version knows. */
  #kindOf(route: string): TargetKind | undefined {
    return this.#options.kinds.find((kind) => kind.owns(route));
  }

  #report(group: DeliveringGroup, claim: Claim, state: string | undefined, error: string | undefined): void {
    const outcome = state === "delivered" || state === "dead" ? state : state === "pending" ? "retry" : "stale";
    const { deliveryId, attempt } = claim;
    emit(this.#options.host.onEvent, {
      type: "delivery",
      ...group,
      deliveryId,
      attempt,
      outcome,
      ...(error === undefined ? {} : { error }),
    });
  }

  /** Reports a delivery that a drain gave up or postponed without an attempt. */
  #reportNotice(group: DeliveringGroup, { route, error, ...notice }: Notice): void {
    const { host } = this.#options;
    const more = host.lacks?.(route);
    emit(host.onEvent, {
      type: "delivery",
      ...group,
      ...notice,
      error: more === undefined ? error : `${error}: ${more}`,
    });
  }
}

/** The record that is delivered. */
interface DeliveringGroup {
  readonly machine: GroupMachine;
  readonly id: string;
}

/** How an attempt ended. */
interface Attempted {
  /** The part that the record stores. Tenants and callers read its error as part of the status. */
  readonly settlement: { readonly rest?: string } | (NextAttempt & { readonly error: string });
  /** The text that was thrown. Only the owner's events hold it. */
  readonly thrown: string | undefined;
}

/**
 * Returns the failure of an attempt. The message of a `CoordinationError` is shown: it holds no value, token or body.
 * The text of any other error may hold a connection string or a payload. The record does not store it.
 */
function failureOf(error: unknown, kind: TargetKind | undefined): Attempted {
  const message =
    error instanceof Error ? error.message || "failed without a message" : "threw a value that is no Error";
  const thrown = shortText(message, "error", MAX_EVENT_ERROR_BYTES);
  if (!(error instanceof CoordinationError)) return { settlement: { error: kind?.withheld ?? "failed" }, thrown };
  return { settlement: { error: shortText(message, "error", MAX_ERROR_BYTES), ...kind?.next(error) }, thrown };
}
