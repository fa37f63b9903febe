import type { Coordinator } from "../coordinator.js";
import type { GroupStatus } from "./group-status.js";
import type { TraceLinks } from "./trace-links.js";

/** The names of handlers, with the types of their payloads. */
export type Payloads = Record<string, unknown>;

/** How the group or the request ended. */
export type GroupEventType = `${"group" | "request"}.${"completed" | "failed" | "timed_out" | "cancelled"}`;

/** One attempt to call a handler after a group or a request ended. */
export interface HandlerEvent<Payload = unknown> {
  /** How the group ended. */
  readonly type: GroupEventType;
  /**
   * The tenant that owns the group: at the Worker, the tenant of the token that registered it. The payload comes from
   * the registration, so check what it names against the tenant. `undefined` without tenants.
   */
  readonly tenant: string | undefined;
  /** The idempotency key: the same in every attempt, and in no other delivery. */
  readonly deliveryId: string;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** The reason that the caller gave to `cancel`; null for any other end. */
  readonly reason: string | null;
  /** The payload of the registration. */
  readonly payload: Payload;
  /** The status at the end. For a request, `groupId` is the request's id. */
  readonly status: GroupStatus;
  /** The trace contexts of the registration and of the ack that ended the group. */
  readonly trace: TraceLinks;
}

/** The second argument of a handler. */
export interface HandlerContext<Env = unknown> {
  /** The `env` that the tracker was given; in a Durable Object its bindings. */
  readonly env: Env;
  readonly coordinator: Coordinator;
  /** Aborted when the attempt times out. The attempt then counts as failed, and another may begin. */
  readonly signal: AbortSignal;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * A durable callback. It is called at least once. Returning settles the delivery; throwing causes another attempt. An
 * attempt that timed out may still run while the next one begins.
 *
 * Callers and tenants read the status. So its `delivery.lastError` shows `the handler failed` instead of the text that
 * was thrown. `onEvent` receives the text. To show a text in the status, throw a `CoordinationError` with it.
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

/** The payload types of a map of handlers. Use it to type a client's tracker when the handlers run elsewhere. */
export type PayloadsOf<H> = {
  [Name in keyof H]: H[Name] extends ((event: HandlerEvent<infer Payload>, ...rest: never[]) => unknown) | undefined
    ? Payload
    : never;
};

/** Sends signed webhooks. `webhookSender` of `edge-coordinator/webhook` creates one. */
export interface Webhooks {
  /** Throws for a URL that `send` would refuse. */
  check(url: string): void;
  /** Sends once. Rejects unless the receiver answers 2xx. */
  send(message: {
    readonly url: string;
    readonly id: string;
    readonly body: string;
    /** The trace context of this attempt, for the header `traceparent`. */
    readonly traceparent?: string | undefined;
    readonly signal?: AbortSignal;
  }): Promise<void>;
}
