import type { DeliveryStatus } from "../../src/delivery/group-status.js";
import { equal, isTrue } from "../../src/testing/assert.js";
import type { RecordedDelivery } from "../../src/testing/index.js";
import type { Target } from "./group-record.js";
import { groupStatusOf, statusOf } from "./group-status.js";
import type { View } from "./group-view.js";
import { DELIVERED_MS } from "./world.js";

/** The end of a generation. */
export interface End {
  readonly maxAttempts: number;
  readonly nowMs: number;
  readonly type: string;
  /** The status at the end, but for what the backend's clock decides. */
  readonly snapshot: View;
}

/** What the end of one generation owes: attempts until one succeeds, a dead letter when the allowance is spent. */
export class DeliveryModel {
  readonly #target: Target;
  readonly #maxAttempts: number;
  readonly #type: string;
  readonly snapshot: View;
  #deliveryId: string | undefined;
  /** How many attempts there had been when it was queued last, and how many there will be in the end. */
  #base = 0;
  attempts = 0;
  queuedAtMs = 0;
  /** Its time has come: it must be delivered, or dead. */
  isOver = false;

  constructor(target: Target, { maxAttempts, nowMs, type, snapshot }: End) {
    this.#target = target;
    this.#maxAttempts = maxAttempts;
    this.#type = type;
    this.snapshot = snapshot;
    this.queue(nowMs, 0);
  }

  /** The handler fails in its first attempts, whichever call queued them. */
  get #succeedsAt(): number {
    return this.#target.handler === "record" ? 1 : this.#target.failures + 1;
  }

  get isNobodys(): boolean {
    return this.#target.handler === "nobody";
  }

  /** Given up, and known to be. */
  get isDead(): boolean {
    return this.isOver && !this.#succeeds;
  }

  /** It will come to be dead, and may not be yet. */
  get isDying(): boolean {
    return !this.isOver && !this.#succeeds && !this.isNobodys;
  }

  /** The record is kept for it, for longer than any run lasts. */
  get isOwed(): boolean {
    return this.isNobodys || this.isDead || !this.isOver;
  }

  get #succeeds(): boolean {
    return !this.isNobodys && this.attempts >= this.#succeedsAt;
  }

  /** Queues it, with a fresh allowance of attempts. */
  queue(nowMs: number, base: number): void {
    this.queuedAtMs = nowMs;
    this.#base = base;
    this.attempts = this.isNobodys ? 0 : Math.min(Math.max(this.#succeedsAt, base + 1), base + this.#maxAttempts);
    this.isOver = false;
  }

  tick(nowMs: number): void {
    if (!this.isNobodys && this.queuedAtMs + DELIVERED_MS <= nowMs) this.isOver = true;
  }

  /** Checks what a status says of it; one that is not of now may be from before its first attempt. */
  check({ state, deliveryId, attempts, lastError }: DeliveryStatus, isNow: boolean): void {
    this.#deliveryId ??= deliveryId ?? undefined;
    isTrue(this.#deliveryId !== undefined, "a delivery has its id");
    equal(deliveryId, this.#deliveryId, "the delivery's id");
    if (this.isNobodys) {
      equal({ state, attempts }, { state: "pending", attempts: 0 }, "a delivery that nobody can make");
    } else if ((this.isOver && isNow) || state !== "pending") {
      const end = { state: this.#succeeds ? "delivered" : "dead", attempts: this.attempts, lastError: this.#lastError };
      equal({ state, attempts, lastError }, end, "the delivery");
    } else {
      isTrue(attempts >= this.#base && attempts <= this.attempts, `a pending delivery was tried ${attempts} times`);
    }
  }

  /** The error of the last attempt; none once an attempt succeeded. */
  get #lastError(): string | null {
    const failed = Math.min(this.attempts, this.#succeedsAt - 1);
    return failed > 0 && !this.#succeeds ? `attempt ${failed} failed` : null;
  }

  /** Checks the handler's calls: each attempt once and in order, under one id, with the words of the group's end. */
  checkCalls(calls: readonly RecordedDelivery[]): void {
    const own = calls.filter(({ event }) => event.status.generation === this.snapshot.generation);
    const attempts = own.map(({ event }) => event.attempt);
    const all = Array.from({ length: this.attempts }, (_, i) => i + 1);
    if (this.isOver || this.isNobodys) equal(attempts, all, "the attempts");
    for (const { event } of own) {
      this.#deliveryId ??= event.deliveryId;
      equal(event.deliveryId, this.#deliveryId, "the id of an attempt");
      equal(event.type, this.#type, "the event's type");
      equal(event.payload, payloadOf(this.#target), "its payload");
      equal(event.reason, this.snapshot.reason ?? null, "its reason");
      equal(groupStatusOf(event.status), statusOf(this.snapshot), "the status at the end");
    }
  }
}

/** What a handler is handed. */
export function payloadOf({ failures }: Target): { readonly failures: number } {
  return { failures };
}
