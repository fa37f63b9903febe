import { fullJitterMs, type RetryPolicy } from "../backoff.js";
import type { Coordinator, OnEvent, Wake } from "../coordinator.js";
import { CoordinationError } from "../errors.js";
import { emit } from "../events.js";
import type { Claim, WokenInput } from "../machines/delivery.js";
import type { GroupView } from "../machines/group.js";
import { newOp } from "../op.js";
import { type GroupStatus, groupStatus } from "./group-status.js";
import type { GroupEventType, Handler, HandlerContext, Webhooks } from "./handler.js";
import { shortText } from "./task.js";

export interface DelivererOptions {
  readonly coordinator: Coordinator;
  /** What handlers see as theirs. */
  readonly handlerCoordinator: () => Coordinator;
  /** This process's id, where it alone delivers. */
  readonly sole: string | undefined;
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly webhooks: Webhooks | undefined;
  readonly env: unknown;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
  readonly retry: RetryPolicy;
  /** How long one attempt may take. */
  readonly attemptMs: number;
  readonly onEvent: OnEvent | undefined;
}

/** How much longer than its attempt a lease lasts: the time to say how it went. */
const SETTLE_MS = 15_000;
const SETTLE_PAUSE_MS = 100;
const SETTLE_AGAIN: RetryPolicy = { maxAttempts: 100, baseDelayMs: 250, maxDelayMs: 2_000 };
const MAX_ERROR_BYTES = 256;

/** Delivers what a woken group's outbox hands out, and tells the group how it went. */
export class Deliverer implements Wake<"completion"> {
  readonly #options: DelivererOptions;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.waitUntil = options.waitUntil;
  }

  input(): WokenInput {
    const { handlers, webhooks, attemptMs, retry, sole } = this.#options;
    const routes = [...handlers.keys()].map((name) => `handler:${name}`);
    if (webhooks !== undefined) routes.push("url");
    const input: WokenInput = { op: newOp(), routes, leaseMs: attemptMs + SETTLE_MS, retry };
    if (sole !== undefined) input.sole = sole;
    return input;
  }

  async act(groupId: string, { claims }: { readonly claims: readonly Claim[] }): Promise<void> {
    await Promise.all(claims.map((claim) => this.#deliver(groupId, claim)));
  }

  async #deliver(groupId: string, claim: Claim): Promise<void> {
    const leaseEndsMs = Date.now() + this.#options.attemptMs + SETTLE_MS;
    const failure = await this.#attempt(groupId, claim);
    const settled = await this.#settle(groupId, claim, failure ?? {}, leaseEndsMs);
    this.#report(groupId, claim, settled.settled ? settled.delivery?.state : undefined, failure?.error);
  }

  /** Tells how the attempt went, through an outage of the backend too: after the lease it would be made again. */
  async #settle(groupId: string, claim: Claim, failure: object, leaseEndsMs: number) {
    const { coordinator, retry } = this.#options;
    const input = { generation: claim.generation, fence: claim.fence, retry, random: Math.random(), ...failure };
    for (let tries = 1; ; tries++) {
      try {
        return await coordinator.run("completion.settle", groupId, input);
      } catch (error) {
        const pauseMs = SETTLE_PAUSE_MS + fullJitterMs(SETTLE_AGAIN, tries, Math.random());
        const isPassing = error instanceof CoordinationError && error.retryable;
        if (!isPassing || Date.now() + pauseMs >= leaseEndsMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  /** One attempt; what it failed with, or nothing. */
  async #attempt(
    groupId: string,
    claim: Claim,
  ): Promise<{ error: string; final?: boolean; notBeforeMs?: number } | undefined> {
    const { attemptMs } = this.#options;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`took longer than ${attemptMs} ms`)), attemptMs);
    try {
      await Promise.race([this.#send(groupId, claim, timeout.signal), rejectWhenAborted(timeout.signal)]);
      return undefined;
    } catch (error) {
      return failureOf(error, claim.route === "url");
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(groupId: string, claim: Claim, signal: AbortSignal): Promise<void> {
    const status = statusAtEnd(groupId, claim);
    const type = claim.type as GroupEventType;
    const { handlers, webhooks, env, handlerCoordinator, waitUntil } = this.#options;
    if (claim.route === "url") {
      const body = JSON.stringify({ type, timestamp: new Date(claim.createdAtMs).toISOString(), data: status });
      await webhooks?.send({ url: claim.body, id: claim.deliveryId, body, signal });
      return;
    }
    const ctx: HandlerContext = {
      env,
      signal,
      // Made when a handler asks for it: an object without a binding of its own can still deliver.
      get coordinator() {
        return handlerCoordinator();
      },
      waitUntil: waitUntil ?? ((work) => void work.catch((error: unknown) => this.#reportLoose(groupId, error))),
    };
    const event = {
      type,
      deliveryId: claim.deliveryId,
      attempt: claim.attempt,
      reason: status.reason,
      payload: JSON.parse(claim.body),
      status,
    };
    await handlers.get(claim.route.slice("handler:".length))?.(event, ctx);
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

  #reportLoose(id: string, error: unknown): void {
    emit(this.#options.onEvent, { type: "wake_failed", machine: "completion", id, error });
  }
}

/** The group as it stood when it ended: the same words in every attempt. */
function statusAtEnd(groupId: string, claim: Claim): GroupStatus {
  const view = JSON.parse(claim.snapshot) as GroupView;
  const errors = Array.isArray(view.errors) ? view.errors : [];
  return groupStatus(groupId, {
    ...view,
    errors,
    delivery: { state: "pending", deliveryId: claim.deliveryId, attempts: 0 },
  });
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function failureOf(error: unknown, isWebhook: boolean): { error: string; final?: boolean; notBeforeMs?: number } {
  const message = error instanceof Error ? error.message : "the handler threw something that is no Error";
  const failure: { error: string; final?: boolean; notBeforeMs?: number } = {
    error: shortText(message === "" ? "failed without a message" : message, "error", MAX_ERROR_BYTES),
  };
  // What a webhook's receiver wishes; a handler's own calls say nothing about its delivery.
  if (isWebhook && error instanceof CoordinationError) {
    if (!error.retryable) failure.final = true;
    if (error.retryAfterMs !== undefined) failure.notBeforeMs = error.retryAfterMs;
  }
  return failure;
}
