import type { GroupView } from "../core/group/record.js";
import { type Claim, type Claimed, DEFAULT_RETRY, type Notice, type WokenInput } from "../core/outbox/attempts.js";
import { REQUEST_ROUTE } from "../core/outbox/deliveries.js";
import { CoordinationError } from "../errors.js";
import type { RetryPolicy } from "../lib/backoff.js";
import { systemClock } from "../lib/clock.js";
import { newOp } from "../lib/ids.js";
import { shortText } from "../lib/validate.js";
import type { Backend, Wake, Work } from "../runtime/backend.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { retry } from "../runtime/retry.js";
import { MAX_WAIT_MS } from "../runtime/work-pool.js";

/** What a deliverer can do besides letting requests go. */
export interface Sender {
  readonly routes: readonly string[];
  /** Makes one attempt; a rejection has it tried again. */
  send(groupId: string, claim: Claim, signal: AbortSignal): Promise<void>;
}

export interface DelivererOptions {
  /** Where the groups are. */
  readonly coordinator: Backend;
  /** Where the requests are that wait for a group. */
  readonly requests: () => Backend;
  readonly sender?: Sender | undefined;
  /** This process's id, where it alone delivers. */
  readonly sole?: string | undefined;
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** How long one attempt may take. */
  readonly attemptMs?: number | undefined;
  /** Why the sender sends no webhooks, where they are set up wrongly. */
  readonly noWebhooks?: string | undefined;
  readonly onEvent?: OnEvent | undefined;
}

const DEFAULT_ATTEMPT_MS = 30_000;
/** How much longer than its attempt a lease lasts: the time to say how it went. */
const SETTLE_MS = 15_000;
const SETTLE_AGAIN: RetryPolicy = { maxAttempts: 100, baseDelayMs: 250, maxDelayMs: 2_000 };
/** What the record keeps of an error, and the events. */
const MAX_ERROR_BYTES = 256;
const MAX_EVENT_ERROR_BYTES = 1_024;
const MAX_ROOT_ERROR_BYTES = 1_024;
/** By how much the clocks of two records may differ, and a request be registered after its group. */
const BEGUN_SLACK_MS = 60_000;

/**
 * Delivers what a woken group's outbox hands out, and tells the group how it went. Every one can mark the root of a
 * request that waits for the group; handlers and webhooks are its sender's.
 */
export class Deliverer implements Wake<"completion"> {
  readonly #options: DelivererOptions;
  readonly #attemptMs: number;
  readonly #retry: RetryPolicy;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#attemptMs = options.attemptMs ?? DEFAULT_ATTEMPT_MS;
    this.#retry = options.retry ?? DEFAULT_RETRY;
    this.waitUntil = options.waitUntil;
  }

  input(): WokenInput {
    const { sender, sole } = this.#options;
    const routes = [REQUEST_ROUTE, ...(sender?.routes ?? [])];
    const input: WokenInput = {
      op: newOp(),
      routes,
      leaseMs: MAX_WAIT_MS + this.#attemptMs + SETTLE_MS,
      retry: this.#retry,
    };
    if (sole !== undefined) input.sole = sole;
    return input;
  }

  async act(groupId: string, claimed: Claimed): Promise<void> {
    await Promise.all(this.works(groupId, claimed).map((work) => work.run()));
  }

  works(groupId: string, { claims, notices = [] }: Claimed): Work[] {
    for (const notice of notices) this.#reportNotice(groupId, notice);
    return claims.map((claim) => ({
      destination: destinationOf(claim),
      isRetry: claim.attempt > 1,
      run: () => this.#deliver(groupId, claim),
      handBack: async (handedBackMs) => {
        const { generation, fence } = claim;
        const input = { generation, fence, retry: this.#retry, random: 0, handedBackMs };
        await this.#options.coordinator.run("completion.settle", groupId, input);
      },
    }));
  }

  /** One attempt and its settlement; says whether the attempt succeeded. */
  async #deliver(groupId: string, claim: Claim): Promise<boolean> {
    const leaseEndsMs = Date.now() + this.#attemptMs + SETTLE_MS;
    const failure = await this.#attempt(groupId, claim);
    const settled = await this.#settle(groupId, claim, failure?.settlement ?? {}, leaseEndsMs);
    this.#report(groupId, claim, settled.settled ? settled.delivery?.state : undefined, failure?.thrown);
    return failure === undefined;
  }

  /**
   * Tells the group how the attempt went. Repeats that through an outage of the backend for as long as the lease lasts: after
   * it the attempt would be made again.
   */
  #settle(groupId: string, claim: Claim, failure: object, leaseEndsMs: number) {
    const { coordinator } = this.#options;
    const { generation, fence } = claim;
    const input = { generation, fence, retry: this.#retry, random: Math.random(), ...failure };
    return retry(() => coordinator.run("completion.settle", groupId, input), {
      policy: SETTLE_AGAIN,
      random: Math.random,
      clock: systemClock,
      endsAtMs: leaseEndsMs,
      maxRetryAfterMs: Number.POSITIVE_INFINITY,
    });
  }

  /** One attempt; what it failed with, or nothing. */
  async #attempt(groupId: string, claim: Claim): Promise<Failure | undefined> {
    const attemptMs = this.#attemptMs;
    const timeout = new AbortController();
    const late = new CoordinationError("wait_timeout", `took longer than ${attemptMs} ms`, { retryable: true });
    const timer = setTimeout(() => timeout.abort(late), attemptMs);
    try {
      await Promise.race([this.#send(groupId, claim, timeout.signal), rejectWhenAborted(timeout.signal)]);
      return undefined;
    } catch (error) {
      return failureOf(error, claim.route);
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(groupId: string, claim: Claim, signal: AbortSignal): Promise<void> {
    if (claim.route === REQUEST_ROUTE) await markRoot(this.#options.requests(), claim, signal);
    else await this.#options.sender?.send(groupId, claim, signal);
  }

  #report(id: string, claim: Claim, state: string | undefined, error: string | undefined): void {
    const outcome = state === "delivered" || state === "dead" ? state : state === "pending" ? "retry" : "stale";
    const { deliveryId, attempt } = claim;
    emit(this.#options.onEvent, {
      type: "delivery",
      id,
      deliveryId,
      attempt,
      outcome,
      ...(error === undefined ? {} : { error }),
    });
  }

  /** A record that a drain gave up, or passed by: no attempt reports it. */
  #reportNotice(id: string, { route, error, ...notice }: Notice): void {
    const { noWebhooks, onEvent } = this.#options;
    const more = route === "url" && noWebhooks !== undefined ? `: ${noWebhooks}` : "";
    emit(onEvent, { type: "delivery", id, ...notice, error: error + more });
  }
}

/** Where a delivery goes: a handler, the host of a webhook, or any request. */
function destinationOf({ route, body }: Claim): string {
  return route === "url" && URL.canParse(body) ? `url:${new URL(body).host}` : route;
}

/** Lets a waiting request go: its root is done when the group succeeded, and failed otherwise. */
async function markRoot(requests: Backend, claim: Claim, signal: AbortSignal): Promise<void> {
  const { requestId, stage, rootId } = JSON.parse(claim.body) as { requestId: string; stage: string; rootId: string };
  const failure = failureAtEnd(JSON.parse(claim.snapshot) as GroupView);
  // The delivery's id is the call's id: of many attempts one counts.
  const input = {
    op: claim.deliveryId,
    stage,
    root: rootId,
    processed: failure === undefined ? 1 : 0,
    // A request that began long after the group is another use of its id.
    begunBeforeMs: claim.generation + BEGUN_SLACK_MS,
    ...(failure === undefined ? {} : { error: failure }),
  };
  const { refused } = await requests.run("request.mark", requestId, input, { signal });
  if (refused !== undefined)
    throw new CoordinationError("limit_exceeded", `the request has no room for more ${refused}`);
}

/** What a request is told of a group that did not succeed. */
function failureAtEnd({ state, reason, failed, total, errors }: GroupView): string | undefined {
  if (state === "timed_out") return "the group timed out";
  if (state === "cancelled")
    return shortText(`the group was cancelled: ${reason ?? ""}`, "error", MAX_ROOT_ERROR_BYTES);
  if (failed === 0) return undefined;
  const first = Array.isArray(errors) ? errors[0]?.message : undefined;
  return shortText(`${failed} of ${total} tasks failed: ${first ?? ""}`, "error", MAX_ROOT_ERROR_BYTES);
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** How an attempt failed. */
interface Failure {
  /** What the record is told, whose status tenants and callers read. */
  readonly settlement: { readonly error: string; final?: boolean; notBeforeMs?: number };
  /** The text that was thrown, for the owner's events. */
  readonly thrown: string;
}

/**
 * The message of a `CoordinationError` may be shown: it holds no value, token or body. A text of any other error may hold a
 * connection string or a payload, and is kept out of the record.
 */
function failureOf(error: unknown, route: string): Failure {
  const isShown = error instanceof CoordinationError;
  const message =
    error instanceof Error ? error.message || "failed without a message" : "threw a value that is no Error";
  const withheld = route === "url" ? "the webhook failed" : "the handler failed";
  const settlement: Failure["settlement"] = {
    error: shortText(isShown ? message : withheld, "error", MAX_ERROR_BYTES),
  };
  // What a webhook's receiver or the request says; a handler's own calls say nothing about its delivery.
  if ((route === "url" || route === REQUEST_ROUTE) && isShown) {
    if (isFinal(error, route)) settlement.final = true;
    if (error.retryAfterMs !== undefined) settlement.notBeforeMs = error.retryAfterMs;
  }
  return { settlement, thrown: shortText(message, "error", MAX_EVENT_ERROR_BYTES) };
}

/** Whether no further attempt can do better. What a deployment lacks, a binding or a token, the next one may have. */
function isFinal({ retryable, code }: CoordinationError, route: string): boolean {
  return route === REQUEST_ROUTE ? code === "limit_exceeded" : !retryable;
}
