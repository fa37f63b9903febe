import type { Coordinator } from "../coordinator.js";
import type { GroupView } from "../core/group/record.js";
import type { Claim } from "../core/outbox/attempts.js";
import type { Sender } from "../delivery/worker.js";
import type { OnEvent } from "../runtime/events.js";
import { emit } from "../runtime/events.js";
import { type GroupStatus, groupStatus } from "./group-status.js";
import type { GroupEventType, Handler, HandlerContext, Webhooks } from "./handler.js";

export interface HandlerSenderOptions {
  readonly handlers: ReadonlyMap<string, Handler>;
  readonly webhooks: Webhooks | undefined;
  readonly env: unknown;
  /** What handlers see as theirs. */
  readonly coordinator: () => Coordinator;
  /** Whose groups these are. */
  readonly tenant: string | undefined;
  readonly waitUntil: ((work: Promise<unknown>) => void) | undefined;
  readonly onEvent: OnEvent | undefined;
}

/** Sends the ends of groups to an instance's handlers, and as webhooks. */
export class HandlerSender implements Sender {
  readonly routes: readonly string[];
  readonly #options: HandlerSenderOptions;

  constructor(options: HandlerSenderOptions) {
    const routes = [...options.handlers.keys()].map((name) => `handler:${name}`);
    this.routes = options.webhooks === undefined ? routes : [...routes, "url"];
    this.#options = options;
  }

  async send(groupId: string, claim: Claim, signal: AbortSignal): Promise<void> {
    const status = statusAtEnd(groupId, claim);
    const type = claim.type as GroupEventType;
    const { webhooks } = this.#options;
    // A claim of a route that is not one of this instance's must fail, and not count as delivered: the casts throw.
    if (claim.route === "url") {
      const body = JSON.stringify({ type, timestamp: new Date(claim.createdAtMs).toISOString(), data: status });
      await (webhooks as Webhooks).send({ url: claim.body, id: claim.deliveryId, body, signal });
      return;
    }
    await this.#call(groupId, claim, { type, status, signal });
  }

  async #call(groupId: string, claim: Claim, { type, status, signal }: Ended): Promise<void> {
    const { handlers, env, coordinator, tenant, waitUntil } = this.#options;
    const handler = handlers.get(claim.route.slice("handler:".length)) as Handler;
    const ctx: HandlerContext = {
      env,
      signal,
      // Made when a handler asks for it: an object without a binding of its own can still deliver.
      get coordinator() {
        return coordinator();
      },
      waitUntil: waitUntil ?? ((work) => void work.catch((error: unknown) => this.#reportLoose(groupId, error))),
    };
    const event = {
      type,
      tenant,
      deliveryId: claim.deliveryId,
      attempt: claim.attempt,
      reason: status.reason,
      payload: JSON.parse(claim.body),
      status,
    };
    await handler(event, ctx);
  }

  #reportLoose(id: string, error: unknown): void {
    emit(this.#options.onEvent, { type: "wake_failed", machine: "completion", id, error });
  }
}

/** What one attempt tells of. */
interface Ended {
  readonly type: GroupEventType;
  readonly status: GroupStatus;
  readonly signal: AbortSignal;
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
