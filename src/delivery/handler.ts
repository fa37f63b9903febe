import type { Coordinator } from "../coordinator.js";
import type { GroupStatus } from "./group-status.js";

/** Handlers' names with the payloads that they take. */
export type Payloads = Record<string, unknown>;

/** Which end a delivery tells of. */
export type GroupEventType = "group.completed" | "group.failed" | "group.timed_out" | "group.cancelled";

/** One attempt to tell a handler that a group has ended. */
export interface HandlerEvent<Payload = unknown> {
  /** Which end it was. */
  readonly type: GroupEventType;
  /**
   * Whose group it is: at the Worker, the tenant of the token that registered it. A payload is the registration's own word,
   * so check what it names against the tenant. Undefined without tenants.
   */
  readonly tenant: string | undefined;
  /** The same in every attempt, and in no other delivery: make the effect idempotent on it. */
  readonly deliveryId: string;
  /** From 1. */
  readonly attempt: number;
  /** What `cancel` was told. */
  readonly reason: string | null;
  /** What the registration gave along. */
  readonly payload: Payload;
  /** The group as it stood at its end. */
  readonly status: GroupStatus;
}

/** What a handler has at hand. */
export interface HandlerContext<Env = unknown> {
  /** What the tracker was given; in a Durable Object its bindings. */
  readonly env: Env;
  readonly coordinator: Coordinator;
  /** Aborted when the attempt has taken its time: it counts as failed, and another may begin. */
  readonly signal: AbortSignal;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * A durable callback. Called at least once. Returning settles the delivery; throwing causes another attempt.
 * An attempt may run while an earlier one that outlived its time still does.
 *
 * The status is read by callers and tenants, so its `delivery.lastError` shows `the handler failed` and not the text that
 * was thrown. The text goes to `onEvent`. To show a text, throw a `CoordinationError` with it.
 *
 * @example
 * ```ts
 * import { CoordinationError, type HandlerEvent } from "edge-coordinator";
 *
 * async function publish({ deliveryId, payload }: HandlerEvent<{ path: string }>): Promise<void> {
 *   const reply = await fetch(`https://index.example/${payload.path}`, { method: "PUT", headers: { id: deliveryId } });
 *   if (!reply.ok) throw new CoordinationError("backend_rejected", `the index answered ${reply.status}`);
 * }
 * ```
 */
export type Handler<Payload = unknown, Env = unknown> = (
  event: HandlerEvent<Payload>,
  ctx: HandlerContext<Env>,
) => void | Promise<void>;

/** A handler for every name, or for some of them. */
export type Handlers<T extends Payloads = Payloads, Env = unknown> = {
  readonly [Name in keyof T]?: Handler<T[Name], Env>;
};

/** The payloads of a map of handlers: what a client's tracker needs to know of handlers that run elsewhere. */
export type PayloadsOf<H> = {
  [Name in keyof H]: H[Name] extends ((event: HandlerEvent<infer Payload>, ...rest: never[]) => unknown) | undefined
    ? Payload
    : never;
};

/** What sends signed webhooks; `webhookSender` of `edge-coordinator/webhook` makes one. */
export interface Webhooks {
  /** Refuses a URL that would not be sent to. */
  check(url: string): void;
  /** Sends once; rejects unless the receiver answered 2xx. */
  send(message: {
    readonly url: string;
    readonly id: string;
    readonly body: string;
    readonly signal?: AbortSignal;
  }): Promise<void>;
}
